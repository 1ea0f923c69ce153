"""Adapters: what training one takes, which there are, who lets one serve, and taking one elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin_serving.cli.context import AsJson, Author, author_of, current_user, load_settings, look_in_each, open_database
from twin_serving.cli.errors import CommandError
from twin_serving.cli.output import print_json, print_table, say, shorten

if TYPE_CHECKING:
    from twin_resources.config.price import Price
    from twin_resources.config.settings import Settings
    from twin_resources.config.training import TrainingSettings
    from twin_resources.models.memory import Shape
    from twin_resources.storage.releases import Release
    from twin_resources.storage.training.experiments import Experiment, Span
    from twin_resources.storage.training.pace import Forecast

_SIZES: dict[str, dict[str, Any]] = {
    "0.3B": {"hidden_size": 960, "intermediate_size": 2560, "num_hidden_layers": 32, "num_attention_heads": 15,
             "num_key_value_heads": 5, "vocab_size": 49_152},
    "1.5B": {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12,
             "num_key_value_heads": 2, "vocab_size": 151_936},
    "7B": {"hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32, "num_attention_heads": 32,
           "num_key_value_heads": 8, "vocab_size": 32_768},
    "14B": {"hidden_size": 5120, "intermediate_size": 13_824, "num_hidden_layers": 48, "num_attention_heads": 40,
            "num_key_value_heads": 8, "vocab_size": 152_064},
    "32B": {"hidden_size": 5120, "intermediate_size": 27_648, "num_hidden_layers": 64, "num_attention_heads": 40,
            "num_key_value_heads": 8, "vocab_size": 152_064},
    "70B": {"hidden_size": 8192, "intermediate_size": 28_672, "num_hidden_layers": 80, "num_attention_heads": 64,
            "num_key_value_heads": 8, "vocab_size": 128_256},
}  # fmt: skip
"""Shapes that models of these sizes have in the open, for the table of what a size takes."""


def candidates(author: Author = None, as_json: AsJson = False) -> None:
    """List trained adapters: what they scored, whether the gate let them through, and which one serves."""
    from twin_resources.database.shards import rows_of_each
    from twin_resources.storage.releases import Releases

    settings = load_settings()
    chosen = author_of(settings, author).id if author else None
    _, engine = open_database(settings)
    found = rows_of_each(settings, lambda: Releases(engine).list(chosen))
    found.sort(key=lambda each: each.created_at, reverse=True)
    if as_json:
        print_json([{**asdict(release), "passed": release.passed} for release in found])
        return
    if not found:
        typer.echo("no adapter yet; `twin run` trains one")
        return
    rows = []
    for release in found:
        failed = ", ".join(release.gate.get("failed", ()))
        gate = "passed" if release.passed else f"failed: {failed}" if failed else "not evaluated"
        losses = [release.metrics.get(name) for name in ("validation_loss", "validation_loss_base")]
        state = f"retired: {release.retired_because}" if release.retired_because else ", ".join(_aliases(release))
        created = f"{release.created_at:%Y-%m-%d %H:%M}"
        shown = [f"{loss:.3f}" if isinstance(loss, float) else "" for loss in losses]
        rows.append((release.version, release.author, release.kind, created, *shown, gate, state))
    print_table("", ("version", "author", "kind", "created", "loss", "of the base", "gate", "state"), rows)


def compare(
    versions: Annotated[list[str], typer.Argument(help="Two or more, as `twin candidates` shows them.")],
    as_json: AsJson = False,
) -> None:
    """Show adapters of one author side by side: in what they differ, what was measured, and what they write."""
    from twin_resources.storage.releases import Releases
    from twin_resources.storage.training.experiments import Experiments, differences

    if len(set(versions)) < 2:
        raise CommandError("name two versions or more; `twin candidates` lists them")
    settings = load_settings()
    _, engine = open_database(settings)
    author = look_in_each(settings, lambda: Releases(engine).get(versions[0])).author
    found = Experiments(engine).named(author, versions)
    differing = differences(found)
    if as_json:
        print_json({"experiments": [asdict(each) for each in found], "differences": differing})
        return
    names = [each.version for each in found]
    if differing:
        rows = [(name, *(shorten(value, 40) for value in values)) for name, values in differing.items()]
        print_table("In what they differ", ("", *names), rows)
    else:
        typer.echo("they differ in nothing that is written down: the same dataset, base, settings and code")
    measured = [(name, *(told(each) for each in found)) for name, told in _MEASURED]
    print_table("What was measured, with 95% intervals", ("", *names), measured)
    for question, answers in _answered(found).items():
        typer.echo(f"\n{question}")
        for name, text in answers:
            typer.echo(f"  {name}: {shorten(text, 200)}")


def _span(span: Span | None, form: str = ".2f") -> str:
    if span is None:
        return ""
    between = "" if span.low is None or span.high is None else f" ({span.low:{form}} to {span.high:{form}})"
    return f"{span.value:{form}}{between}"


def _cost(each: Experiment) -> str:
    took = "" if each.seconds is None else f"{each.seconds:.0f} s"
    return took if each.cost is None else f"{took}, {each.cost:.2f} {each.currency}"


def _verdict(each: Experiment) -> str:
    if each.passed is None:
        return "not evaluated"
    return "passed" if each.passed else f"failed: {', '.join(each.failed)}"


_MEASURED: tuple[tuple[str, Callable[[Experiment], str]], ...] = (
    ("validation loss", lambda each: "" if each.validation_loss is None else f"{each.validation_loss:.3f}"),
    ("held-out loss", lambda each: "" if each.held_out_loss is None else f"{each.held_out_loss:.3f}"),
    ("below the base", lambda each: _span(each.gain, ".1%")),
    ("style", lambda each: _span(each.style)),
    ("support", lambda each: _span(each.support, ".0%")),
    ("recited words", lambda each: _span(each.memorised)),
    ("took", _cost),
    ("stopped", lambda each: each.stopped or ""),
    ("gate", _verdict),
    ("state", lambda each: f"retired: {each.retired_because}" if each.retired_because else ", ".join(each.aliases)),
)


def _answered(found: Sequence[Experiment]) -> dict[str, list[tuple[str, str]]]:
    """What was answered to each question, beside the beginning of the author's own answer."""
    answers: dict[str, list[tuple[str, str]]] = {}
    for each in found:
        for text in each.texts:
            answers.setdefault(text.question, [("the author", text.own)]).append((each.version, text.text))
    return answers


def _aliases(release: Release) -> list[str]:
    """The aliases of a version, that of a canary with its share."""
    return [
        f"{alias} {release.share:.0%}" if alias == "canary" and release.share else alias for alias in release.aliases
    ]


def canary(
    version: Annotated[str, typer.Argument(help="As `twin candidates` shows it.")],
    share: Annotated[
        float | None, typer.Option(help="Of the conversations, such as 0.1; release.canary, or 0.1, without it.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who decides; you by default.")] = None,
    comment: Annotated[str, typer.Option(help="Kept with the decision.")] = "",
    as_json: AsJson = False,
) -> None:
    """Let a version that passed the gate answer a share of the conversations beside the champion.

    A conversation stays with its version. It ends by `twin approve`, `twin reject` or `twin rollback`, and by itself
    where readers certainly fare worse on it.
    """
    from twin_resources.storage.releases import DEFAULT_SHARE, Releases

    settings = load_settings()
    wanted = share if share is not None else settings.release.canary or DEFAULT_SHARE
    _, engine = open_database(settings)
    look_in_each(settings, lambda: Releases(engine).get(version))
    found = Releases(engine).start_canary(version, wanted, by=by or current_user(), comment=comment)
    said = f"{found.version} now answers {wanted:.4g} of the conversations with {found.author}"
    print_json(asdict(found)) if as_json else typer.echo(said)


def approve(
    version: Annotated[str, typer.Argument(help="As `twin candidates` shows it.")],
    by: Annotated[str | None, typer.Option(help="Who approves; you by default.")] = None,
    comment: Annotated[str, typer.Option(help="Kept with the approval.")] = "",
    as_json: AsJson = False,
) -> None:
    """Let a version that passed the gate serve; the one before it is kept for a rollback."""
    from twin_resources.storage.releases import Releases

    settings = load_settings()
    _, engine = open_database(settings)
    look_in_each(settings, lambda: Releases(engine).get(version))
    found = Releases(engine).approve(version, by=by or current_user(), comment=comment)
    print_json(asdict(found)) if as_json else typer.echo(f"{found.version} now serves {found.author}")


def reject(
    version: Annotated[str, typer.Argument(help="As `twin candidates` shows it.")],
    comment: Annotated[str, typer.Option(help="Why; kept with the decision.")],
    by: Annotated[str | None, typer.Option(help="Who decides; you by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Decide against a version and say why; it does not take over by itself. A later approval overrides this."""
    from twin_resources.storage.releases import Releases

    settings = load_settings()
    _, engine = open_database(settings)
    look_in_each(settings, lambda: Releases(engine).get(version))
    found = Releases(engine).reject(version, by=by or current_user(), comment=comment)
    print_json(asdict(found)) if as_json else typer.echo(f"{found.version} was rejected: {comment}")


def rollback(
    author: Author = None,
    by: Annotated[str | None, typer.Option(help="Who decides; you by default.")] = None,
    comment: Annotated[str, typer.Option(help="Kept with the decision.")] = "",
    as_json: AsJson = False,
) -> None:
    """Put the champion before this one back."""
    from twin_resources.storage.releases import Releases

    settings = load_settings()
    chosen = author_of(settings, author)
    _, engine = open_database(settings)
    found = Releases(engine).rollback(chosen.id, by=by or current_user(), comment=comment)
    print_json(asdict(found)) if as_json else typer.echo(f"{found.version} serves {found.author} again")


def estimate(
    base: Annotated[str | None, typer.Option(help="Folder or name of a base; models.base without it.")] = None,
    preset: Annotated[str | None, typer.Option(help="A preset instead of what twin.yaml says.")] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Processes that share the base; those of twin.yaml without it."),
    ] = None,
    tokens: Annotated[
        int | None, typer.Option(min=1, help="Learned from; training.token_budget, or as many as last, without it.")
    ] = None,
    sizes: Annotated[bool, typer.Option("--sizes", help="A table of usual sizes of models and all presets.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say how much memory the training of an adapter takes, by its config.json alone, whether that is there, and how
    long it takes by what was measured before."""
    from twin_resources.config.training import PRESETS, TrainingSettings
    from twin_resources.models import hub, memory, precision

    if sizes:
        _print_sizes(processes or 1, as_json)
        return
    settings = load_settings()
    if preset is not None and preset not in PRESETS:
        raise CommandError(f"no preset {preset!r}; presets are: {', '.join(PRESETS)}")
    parameters = settings.training if preset is None else TrainingSettings.model_validate({"preset": preset})
    name, dtype = base or settings.models.base, precision.resolved(settings.models.dtype)
    shape = memory.Shape.of(hub.resolve(name, settings))
    there = memory.Memory.here(processes or settings.training.processes)
    shards, found = 1, memory.estimate(shape, parameters, dtype=dtype)
    wanted = processes or parameters.shard is True
    if wanted or (parameters.shard == "auto" and found.total > there.available):
        shards = 1 if parameters.quantization else processes or settings.training.group
        found = memory.estimate(shape, parameters, dtype=dtype, shards=shards)
    others = memory.of_presets(shape, dtype=dtype, shards=processes or shards)
    fits = found.total <= there.available
    time = _time(settings, name, parameters, there.device, processes, tokens)
    if as_json:
        facts = {"base": name, "parameters": shape.parameters, "fits": fits, "device": there.device, "shards": shards}
        sizes_of = {"needed": found.gib(), "available": round(there.available / memory.GIB, 2)}
        presets = {each.preset: round(each.bytes / memory.GIB, 2) for each in others}
        print_json(
            {**facts, "gib": {**sizes_of, "presets": presets}, **time.data(), "settings": parameters.model_dump()}
        )
        return
    title = f"{name}: {shape.parameters / 1e9:.2f} billion weights, preset {parameters.preset or 'none'}"
    print_table(title, ("takes", "GiB" if shards == 1 else f"GiB in each of {shards}"), found.gib().items())
    typer.echo(f"{there.available / memory.GIB:.1f} GiB are there ({there.device}): {'it fits' if fits else 'too few'}")
    typer.echo(time.told())
    rows = [(each.preset, f"{each.bytes / memory.GIB:.1f}", each.bytes <= there.available) for each in others]
    print_table("", ("preset", "GiB", "fits"), [(name, size, "yes" if fit else "no") for name, size, fit in rows])


@dataclass(frozen=True)
class _Time:
    """How long a training of so many ``tokens`` takes and what that costs; None where nothing was measured."""

    tokens: int | None
    forecast: Forecast | None
    price: Price | None
    elsewhere: tuple[str, ...]

    def data(self) -> dict[str, Any]:
        """For other programs."""
        found, price = self.forecast, self.price
        time = {name: round(getattr(found, name), 1) for name in ("seconds", "low", "high")} if found else None
        cost = {"amount": round(price.of(found.seconds), 4), "currency": price.currency} if price and found else None
        return {"tokens": self.tokens, "time": time, "cost": cost}

    def told(self) -> str:
        """For a person."""
        if self.forecast and self.tokens:
            return f"a training of {self.tokens:,} tokens takes {self.forecast.told(self.price)}"
        there = f" (there are some on {'; '.join(self.elsewhere)})" if self.elsewhere else ""
        unknown = f"no training of this base was measured on this machine{there}, so how long one takes is not known"
        return f"{unknown}; its first steps show it"


def _time(
    settings: Settings, base: str, parameters: TrainingSettings, device: str, processes: int | None, tokens: int | None
) -> _Time:
    from twin_resources.database.shards import rows_of_each
    from twin_resources.storage.training.pace import forecast, hardware, pasts

    known = []
    if settings.database_url or (settings.home / "postgres").exists():  # no estimate makes a database
        _, engine = open_database(settings)
        known = rows_of_each(settings, lambda: pasts(engine, base))
    here = hardware(device)
    alike = [each for each in known if each.hardware == here]
    wanted = tokens or parameters.token_budget or (alike[0].tokens if alike else None)
    found = None
    if wanted:
        group = processes or parameters.group
        found = forecast(known, wanted, here=here, processes=group, quantization=parameters.quantization)
    elsewhere = tuple(dict.fromkeys(each.hardware for each in known if each.hardware != here))
    return _Time(wanted, found, settings.training.price, elsewhere)


def _print_sizes(processes: int, as_json: bool) -> None:
    from twin_resources.models import memory

    found: dict[str, list[Any]] = {}
    for name, values in _SIZES.items():
        found[name] = memory.of_presets(_shape(values), shards=processes)
    if as_json:
        print_json({name: [asdict(each) for each in row] for name, row in found.items()})
        return
    presets = [each.preset for each in next(iter(found.values()))]
    typer.echo(f"| base | {' | '.join(presets)} |\n|{'---|' * (len(presets) + 1)}")
    for name, row in found.items():
        typer.echo(f"| {name} | {' | '.join(f'{each.bytes / memory.GIB:.1f}' for each in row)} |")


def _shape(values: dict[str, Any]) -> Shape:
    from transformers import LlamaConfig

    from twin_resources.models.memory import Shape

    return Shape.of_config(LlamaConfig(**values))


def export_model(
    version: Annotated[str, typer.Argument(help="As `twin candidates` shows it.")],
    out: Annotated[Path, typer.Option(help="The folder to write; it may not hold anything yet.")],
    format_: Annotated[str, typer.Option("--format", help="safetensors, or gguf for llama.cpp.")] = "safetensors",
    as_json: AsJson = False,
) -> None:
    """Merge an adapter into its base, as one model for other programs, and check that it says what the twin says."""
    from twin_resources.exporting import model as exporting
    from twin_resources.models import hub
    from twin_resources.storage.artifacts import ArtifactStore
    from twin_resources.storage.releases import Releases

    settings = load_settings()
    _, engine = open_database(settings)
    found = look_in_each(settings, lambda: Releases(engine).get(version))
    names = {author.id: author.name for author in settings.authors}
    done = exporting.export_model(
        exporting.Source(
            version=found.version,
            author=names.get(found.author, found.author),
            base_name=found.base,
            base=hub.resolve(found.base, settings),
            adapter=ArtifactStore.of(settings).folder(found.artifact),
            dtype=settings.models.dtype,
        ),
        out.expanduser().absolute(),
        form=format_,
        tell=say,
    )
    if as_json:
        print_json({"version": version, "files": [str(each) for each in done.files], "kl": asdict(done.parity)})
        return
    for file in done.files:
        typer.echo(f"{file}: {file.stat().st_size / 2**20:,.0f} MB")
    typer.echo(f"{done.parity.mean:.2g} nats from the twin, {done.parity.largest:.2g} at most")
