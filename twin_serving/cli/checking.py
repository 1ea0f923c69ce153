"""Checking anybody's dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from twin_resources.errors import TwinError
from twin_serving.cli.context import AsJson
from twin_serving.cli.output import print_table, say

if TYPE_CHECKING:
    from twin_resources.quality.samples import Sample, Verdict
    from twin_resources.retrieval.embedder import Encode

UNUSABLE = 2
_SEVERAL = ("--sources", "--benchmark")
_SINGLE = ("--report", "--language")
_SHOWN = 20


class Listed(TyperCommand):
    """A command whose options may be followed by several files: ``--sources a.md b.md`` is ``--sources a.md --sources
    b.md``. Where no file would be left to check, only the first belongs to the option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See :meth:`typer.core.TyperCommand.parse_args`."""
        spread, rest = _spread(args)
        return super().parse_args(ctx, spread if rest else args)


def _spread(args: list[str]) -> tuple[list[str], list[str]]:
    """Arguments with the option repeated before each of its files, and those that belong to no option."""
    found: list[str] = []
    rest: list[str] = []
    option, fresh, single = "", False, False
    for each in args:
        if each.startswith("-") and each != "-":
            option, fresh = (each, True) if each in _SEVERAL else ("", False)
            single = each in _SINGLE
            found.append(each)
        elif option:
            found += [each] if fresh else [option, each]
            fresh = False
        else:
            found.append(each)
            if not single:
                rest.append(each)
            single = False
    return found, rest


def check_dataset(
    files: Annotated[list[Path], typer.Argument(help="JSON, JSON Lines, Parquet; several are splits by name.")],
    sources: Annotated[
        list[Path] | None, typer.Option("--sources", help="What it was made of: text, Markdown, JSON, folders.")
    ] = None,
    benchmark: Annotated[
        list[Path] | None, typer.Option("--benchmark", help="A dataset that it must not repeat.")
    ] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Write an HTML page here.")] = None,
    language: Annotated[
        list[str] | None, typer.Option("--language", help="A language answers may be in; found by itself if not given.")
    ] = None,
    embed: Annotated[bool, typer.Option(help="Weigh paraphrases with the embedding model too.")] = True,
    as_json: AsJson = False,
) -> None:
    """Check a dataset: grounding, duplicates, leaks, secrets, prompt injection and more. Exit code 1: it is blocked."""
    try:
        verdict, excerpts = _inspect(
            files,
            sources or [],
            benchmark or [],
            language or [],
            _encoder() if embed else None,
            wanted=report is not None,
        )
        if report is not None:
            _write(report, verdict, files, excerpts)
    except TwinError as problem:
        say(f"twin: {problem}")
        raise typer.Exit(UNUSABLE) from None
    if as_json:
        typer.echo(json.dumps(as_data(verdict), ensure_ascii=False, indent=2))
    else:
        _show(verdict, excerpts, report)
    if not verdict.passed:
        raise typer.Exit(1)


def as_data(verdict: Verdict) -> dict[str, Any]:
    """A verdict for other programs."""
    return {
        "passed": verdict.passed,
        "samples": verdict.samples,
        "flagged": [{"index": flag.index, "check": flag.check, "reason": flag.reason} for flag in verdict.flags],
        "shares": verdict.shares,
    }


def _inspect(
    files: list[Path],
    sources: list[Path],
    benchmarks: list[Path],
    languages: list[str],
    encode: Encode | None,
    wanted: bool,
) -> tuple[Verdict, dict[int, str]]:
    """The verdict, and the instructions of samples where the page wants them."""
    from dataclasses import replace

    from twin_resources.quality import inspection, reading, texts
    from twin_resources.quality.samples import BENCHMARK
    from twin_resources.quality.sources import Sources

    excerpts: dict[int, str] = {}

    def noted(sample: Sample) -> Sample:
        if wanted:
            excerpts[sample.index] = " ".join(sample.instruction.split())[:160]
        return sample

    verdict = inspection.inspect(
        (noted(sample) for sample in reading.samples(files)),
        Sources(texts.sources(sources)),
        benchmarks=(replace(sample, split=BENCHMARK) for sample in reading.samples(benchmarks)),
        encode=encode,
        languages=languages,
    )
    flagged = {flag.index for flag in verdict.flags}
    return verdict, {index: text for index, text in excerpts.items() if index in flagged}


def _encoder() -> Encode | None:
    """Embeds texts by the configured model, which is loaded at the first call; None where it is not to be had."""
    from twin_resources.config.settings import Settings, load
    from twin_resources.models import hub

    try:
        settings = load()
    except TwinError:
        settings = Settings()  # nobody needs a twin.yaml to check a file
    try:
        hub.resolve(settings.models.embedding, settings)
    except TwinError as problem:
        say(f"without an embedding model, paraphrases are found by their words alone: {problem}")
        return None

    def encode(texts: Any) -> Any:
        from twin_resources.retrieval.embedder import Embedder

        return Embedder.of(settings).encode(texts)

    return encode


def _write(path: Path, verdict: Verdict, files: list[Path], excerpts: dict[int, str]) -> None:
    from twin_resources.quality import page

    text = page.html(verdict, "Quality of a dataset", [file.name for file in files], excerpts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise TwinError(
            f"{path}: the report cannot be written: {problem.strerror}", "give --report a file you may write"
        ) from problem


def _show(verdict: Verdict, excerpts: dict[int, str], report: Path | None) -> None:
    rows = []
    for outcome in verdict.outcomes:
        word = "passed" if outcome.passed else "FAILED" if outcome.check.blocking else "warning"
        if outcome.skipped:
            rows.append((outcome.check.name, "", "", f"skipped: {outcome.skipped}"))
        else:
            share = f"{outcome.share:.2%} of {outcome.looked_at:,}"
            rows.append((outcome.check.name, f"{outcome.flagged:,}", share, word))
    splits = ", ".join(f"{count:,} {split}" for split, count in verdict.splits.items())
    print_table(f"{verdict.samples:,} samples: {splits}", ("check", "flagged", "share", "result"), rows)
    for flag in verdict.flags[:_SHOWN]:
        typer.echo(f"  {flag.index}  {flag.check}: {flag.reason}")
    if len(verdict.flags) > _SHOWN:
        typer.echo(f"  … and {len(verdict.flags) - _SHOWN:,} more; --json and --report list them")
    for note in verdict.notes:
        say(note)
    if report is not None:
        typer.echo(f"report: {report}")
    typer.echo("passed" if verdict.passed else f"blocked by {', '.join(each.check.name for each in verdict.failed)}")
