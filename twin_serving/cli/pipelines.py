"""Running the graph, and reading an export into the warehouse at once."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin_serving.cli.context import AsJson, Author, author_of, load_settings, open_database
from twin_serving.cli.errors import CommandError
from twin_serving.cli.output import print_json, print_table

if TYPE_CHECKING:
    from twin_resources.config.settings import AuthorSettings, Settings
    from twin_resources.sources.base import Item, Source
    from twin_resources.storage.warehouse import CollectReport


def run(
    author: Author = None,
    select: Annotated[
        str | None, typer.Option(help="Which assets, in Dagster's selection syntax; all by default.")
    ] = None,
    accept_removals: Annotated[
        bool, typer.Option("--accept-removals", help="Believe a source that suddenly has much less.")
    ] = False,
) -> None:
    """Build the twin in the foreground: collect, clean, chunk, embed, train, evaluate, release. Needs no daemon."""
    from twin_resources.database import postgres
    from twin_serving.processes import supervisor
    from twin_serving.processes.servers import prepare_dagster

    settings = load_settings()
    chosen = author_of(settings, author)
    found = postgres.prepare(settings.postgres)
    prepare_dagster(settings)
    command = [sys.executable, "-m", "twin_assets.run", "--author", chosen.id]
    if select:
        command += ["--select", select]
    if accept_removals:
        command.append("--accept-removals")
    raise typer.Exit(supervisor.run(settings, found, command))


def import_(
    path: Annotated[str, typer.Argument(metavar="FILE_OR_DIR", help="An export, a folder or a repository.")],
    author: Author = None,
    format_: Annotated[
        str,
        typer.Option("--format", help="auto, or one of: jsonl, markdown, medium, substack, linkedin, handbook, git."),
    ] = "auto",
    option: Annotated[list[str] | None, typer.Option(help="key=value of this source; may be repeated.")] = None,
    accept_removals: Annotated[
        bool, typer.Option("--accept-removals", help="Believe a file that suddenly has much less.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read documents into the warehouse at once, and remember where they came from."""
    from twin_resources.storage.warehouse import Warehouse

    settings = load_settings()
    chosen = author_of(settings, author)
    options = dict(_option(entry) for entry in option or ())
    opened = _source(settings, chosen, path, format_, options)
    items = _readable(opened)
    _, engine = open_database(settings)
    warehouse = Warehouse(engine)
    warehouse.record_author(chosen)
    remembered = (opened.kind, opened.location) not in _configured(settings, chosen)
    source_id = warehouse.remember_source(chosen.id, opened, options, remembered=remembered)
    with _reading(opened.location) as progress:
        report = warehouse.collect(
            chosen.id,
            source_id,
            items,
            origin=opened.platform,
            name=f"{opened.kind}: {opened.location}",
            accept_removals=accept_removals,
            progress=progress,
        )
    if as_json:
        items_out = [asdict(found) for found in report.quarantined]
        print_json({"author": chosen.id, **report.as_dict(), "quarantined_items": items_out})
    else:
        _show(chosen.id, opened, report)


def _configured(settings: Settings, author: AuthorSettings) -> set[tuple[str, str]]:
    """Kind and location of the sources that stand in twin.yaml."""
    from twin_resources.errors import SourceError
    from twin_resources.sources.opener import SourceOpener

    found = set()
    for entry in author.sources:
        # Another source that is wrong is no hindrance here; `twin doctor` says it.
        with contextlib.suppress(SourceError):
            named = SourceOpener.of(settings).entry(author.author, entry)
            found.add((named.kind, named.location))
    return found


def _show(author_id: str, opened: Source, report: CollectReport) -> None:
    typer.echo(f"{opened.kind} {opened.location} for {author_id}")
    counts = [(name, value) for name, value in report.as_dict().items() if isinstance(value, int)]
    for name, value in counts:
        if value or name in ("found", "new", "changed", "unchanged", "quarantined"):
            typer.echo(f"  {name.replace('_', ' '):<13} {value}")
        if name == "gone":
            for reason, number in sorted(report.skipped.items()):
                typer.echo(f"  skipped       {number}  {reason}")
    if report.missing:
        typer.echo(f"  {report.missing} documents are missing and were kept; --accept-removals marks them as gone")
    if report.quarantined:
        rows = [(found.item, found.reason, found.remedy) for found in report.quarantined]
        print_table("quarantined", ("item", "reason", "what to do"), rows)
    if report.new or report.changed or report.gone:
        typer.echo(f"next: `twin run --author {author_id}`, or nothing where the daemon runs")


def _option(entry: str) -> tuple[str, Any]:
    import yaml

    key, equals, value = entry.partition("=")
    if not equals or not key:
        raise typer.BadParameter(f"{entry!r}: write key=value", param_hint="--option")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        parsed = value
    return key, parsed if isinstance(parsed, bool | int | float | list) else value


def _source(settings: Settings, author: AuthorSettings, path: str, format_: str, options: Mapping[str, Any]) -> Source:
    """Open what is to be imported; a local path is made absolute, so it can be read again from anywhere."""
    from twin_resources.sources.opener import SourceOpener
    from twin_resources.sources.registry import detect, registry

    opener = SourceOpener.of(settings)

    remote = "://" in path or path.startswith("git@")
    local = Path(path).expanduser().resolve()
    if not remote and not local.exists():
        raise CommandError(f"{local}: no such file or folder")
    location = path if remote else str(local)
    if not format_:
        raise typer.BadParameter("name a format, or auto", param_hint="--format")
    if format_ == "auto":
        if remote:
            raise CommandError(f"{path}: say what this is with --format")
        return opener.open(author.author, detect(local).kind, location, options)
    fitting = [cls for cls in registry().values() if cls.format == format_]
    if not fitting:
        formats = ", ".join(sorted({cls.format for cls in registry().values() if cls.format}))
        raise typer.BadParameter(f"{format_!r} is none of auto, {formats}", param_hint="--format")
    if not remote:
        fitting = [cls for cls in fitting if cls.recognises(local)] or fitting
    return opener.open(author.author, fitting[0].kind, location, options)


def _readable(opened: Source) -> Iterator[Item]:
    """The items of a source, with the first one read already: what cannot be read at all is not remembered."""
    items = iter(opened.read())
    first = next(items, None)
    return iter(()) if first is None else itertools.chain([first], items)


@contextlib.contextmanager
def _reading(location: str) -> Iterator[Callable[[int], None]]:
    """A line that counts items while they are read."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status(f"reading {location}") as line:
        yield lambda count: line.update(f"reading {location}: {count:,} items")
