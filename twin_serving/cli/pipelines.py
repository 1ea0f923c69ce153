"""Running the graph, and reading an export into the warehouse at once."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin_serving.cli.context import AsJson, Author, author_of, load_settings, look_in_each, open_database
from twin_serving.cli.errors import CommandError
from twin_serving.cli.output import print_json, print_table

if TYPE_CHECKING:
    from twin_resources.config.settings import AuthorSettings, Settings
    from twin_resources.sources.base import Source
    from twin_resources.storage.sources import Reading
    from twin_resources.storage.training.searches import Searches
    from twin_resources.storage.warehouse import CollectReport, Warehouse


def run(
    author: Author = None,
    select: Annotated[
        str | None,
        typer.Option(
            help="Which assets, in Dagster's selection syntax; all by default. Datasets named so are always made."
        ),
    ] = None,
    accept_removals: Annotated[
        bool, typer.Option("--accept-removals", help="Believe a source that suddenly has much less.")
    ] = False,
) -> None:
    """Build the twin in the foreground: collect, clean, chunk, embed, train, evaluate, release. Needs no daemon."""
    settings = load_settings()
    chosen = author_of(settings, author)
    arguments = ["--select", select] if select else []
    if accept_removals:
        arguments.append("--accept-removals")
    raise typer.Exit(_materialise(settings, chosen, arguments))


def tune(
    author: Author = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="How many trials there are to be; `training.search.trials` without it.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Search nothing; show the newest search.")] = False,
    as_json: AsJson = False,
) -> None:
    """Search for the hyper-parameters that suit the author; a search that was stopped goes on."""
    from twin_resources.storage.training.searches import Searches

    if as_json and not show:
        raise CommandError("--json prints what was found; give it with --show")
    settings = load_settings()
    chosen = author_of(settings, author)
    code = 0
    if not show:
        wanted = ["--trials", str(trials)] if trials else []
        code = _materialise(settings, chosen, ["--select", 'key:"models/search"', *wanted])
    _, engine = open_database(settings)
    _print_search(Searches(engine), chosen.id, settings.models.base, as_json=as_json)
    raise typer.Exit(code)


def _materialise(settings: Settings, author: AuthorSettings, arguments: list[str]) -> int:
    """Run the graph in the foreground; returns the exit code."""
    from twin_resources.database import postgres
    from twin_serving.processes import supervisor
    from twin_serving.processes.servers import prepare_dagster

    found = postgres.prepare(settings.postgres)
    prepare_dagster(settings)
    command = [sys.executable, "-m", "twin_assets.run", "--author", author.id, *arguments]
    return supervisor.run(settings, found, command)


def _print_search(searches: Searches, author_id: str, base: str, *, as_json: bool) -> None:
    """The trials of an author's newest search, and what trainings over the base use."""
    newest, best = searches.newest(author_id), searches.best(author_id, base)
    trials = searches.trials(newest) if newest else []
    if as_json:
        print_json({"search": newest, "trials": [asdict(trial) for trial in trials], "best": best and asdict(best)})
        return
    if trials:
        names = [*trials[0].parameters]
        rows = [
            (
                trial.number + 1,
                *(f"{trial.parameters[name]:.3g}" for name in names),
                trial.loss and f"{trial.loss:.4f}",
                f"{trial.state}: {trial.reason}" if trial.reason else trial.state,
            )
            for trial in trials
        ]
        print_table("trials", ("trial", *(name.replace("_", " ") for name in names), "validation loss", ""), rows)
    if best is None:
        typer.echo(f"no search over {base} ended yet; trainings use twin.yaml and the defaults")
        return
    found = ", ".join(f"{name} {value:.3g}" for name, value in best.parameters.items())
    typer.echo(f"trainings use, where twin.yaml sets nothing else: {found}")
    typer.echo(f"from search {best.search[:8]}: validation loss {best.validation_loss:.4f} after {best.trials} trials")


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
    from twin_resources.sources.opener import SourceOpener
    from twin_resources.storage.warehouse import Warehouse

    settings = load_settings()
    chosen = author_of(settings, author)
    options = dict(_option(entry) for entry in option or ())
    opened = _source(settings, chosen, path, format_, options)
    _refuse_unreadable(opened)
    _, engine = open_database(settings)
    warehouse = Warehouse(engine)
    warehouse.record_author(chosen)
    remembered = (opened.kind, opened.location) not in _configured(settings, chosen)
    source_id = warehouse.remember_source(chosen.id, opened, options, remembered=remembered)
    with _reading(opened.location) as progress:
        report = warehouse.read(
            SourceOpener.of(settings),
            chosen.id,
            source_id,
            opened,
            accept_removals=accept_removals,
            progress=progress,
        )
    _print_report(chosen.id, opened, report, as_json=as_json)


def sources(
    author: Author = None,
    drop: Annotated[
        str | None, typer.Option(metavar="ID|LOCATION", help="Drop an imported source; its documents are gone with it.")
    ] = None,
    read: Annotated[str | None, typer.Option(metavar="ID|LOCATION", help="Read a source again now.")] = None,
    accept_removals: Annotated[
        bool, typer.Option("--accept-removals", help="With --read: believe a source that suddenly has much less.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """What is read for each author and what came of it; drops an imported source, or reads one again."""
    from twin_resources.storage.warehouse import Warehouse

    settings = load_settings()
    _, engine = open_database(settings)
    warehouse = Warehouse(engine)
    chosen = author_of(settings, author).id if author else None
    if drop and read:
        raise CommandError("--drop and --read are two things; give one of them")
    if drop:
        _drop(settings, warehouse, chosen, drop, as_json=as_json)
    elif read:
        _read_again(settings, warehouse, chosen, read, accept_removals=accept_removals, as_json=as_json)
    else:
        _list_sources(settings, warehouse, chosen, as_json=as_json)


def _list_sources(settings: Settings, warehouse: Warehouse, author_id: str | None, *, as_json: bool) -> None:
    from twin_resources.database.shards import rows_of_each
    from twin_serving.answering.sources import source_rows
    from twin_serving.cli.status import source_line

    rows = [
        row
        for row in source_rows(settings, rows_of_each(settings, warehouse.sources.readings))
        if author_id is None or row["author"] == author_id
    ]
    if as_json:
        print_json(rows)
        return
    lines = [((row["id"] or "")[:12], "import" if row["imported"] else "twin.yaml", *source_line(row)) for row in rows]
    columns = ("id", "from", "author", "source", "last read", "then", "next", "cannot be read")
    print_table("sources", columns, lines)


def known_source(warehouse: Warehouse, author_id: str | None, wanted: str) -> Reading:
    """The source that an id, the beginning of one, or a location means."""
    here = str(Path(wanted).expanduser().resolve())
    found = [
        each
        for each in warehouse.sources.readings()
        if (each.id.startswith(wanted) or each.location in (wanted, here)) and author_id in (None, each.author)
    ]
    if not found:
        raise CommandError(f"no source {wanted!r}; `twin sources` lists them with their ids")
    if len(found) > 1:
        ids = ", ".join(each.id[:12] for each in found)
        raise CommandError(f"{wanted!r} means several sources ({ids}); give the id of one")
    return found[0]


def _drop(settings: Settings, warehouse: Warehouse, author_id: str | None, wanted: str, *, as_json: bool) -> None:
    known = look_in_each(settings, lambda: known_source(warehouse, author_id, wanted))
    listed = [each for each in settings.authors if each.id == known.author]
    if any((known.kind, known.location) in _configured(settings, each) for each in listed):
        raise CommandError(
            f"{known.kind} {known.location} stands in {settings.config}; take it out there, and the next run drops it"
        )
    gone = warehouse.sources.drop(known.author, known.id)
    if as_json:
        print_json({"dropped": known.id, "author": known.author, "location": known.location, "gone": gone})
        return
    typer.echo(f"dropped {known.kind} {known.location} of {known.author}; {gone} documents are gone with it")
    typer.echo(f"next: `twin run --author {known.author}`, or nothing where the daemon runs")


def _read_again(
    settings: Settings,
    warehouse: Warehouse,
    author_id: str | None,
    wanted: str,
    *,
    accept_removals: bool,
    as_json: bool,
) -> None:
    from twin_resources.errors import SourceError
    from twin_resources.sources.opener import SourceOpener

    known = look_in_each(settings, lambda: known_source(warehouse, author_id, wanted))
    if known.kind == "api":
        raise CommandError(f"{known.location} is what programs sent; there is no place to read it from again")
    chosen = settings.author(known.author)
    opener = SourceOpener.of(settings)
    opened = opener.open(chosen.author, known.kind, known.location, known.options)
    try:
        with _reading(opened.location) as progress:
            report = warehouse.read(
                opener, known.author, known.id, opened, accept_removals=accept_removals, progress=progress
            )
    except SourceError as error:
        warehouse.sources.record_failure(known.id, str(error))
        raise
    _print_report(known.author, opened, report, as_json=as_json)


def _print_report(author_id: str, opened: Source, report: CollectReport, *, as_json: bool) -> None:
    if as_json:
        items = [asdict(found) for found in report.quarantined]
        print_json({"author": author_id, **report.as_dict(), "quarantined_items": items})
    else:
        _show(author_id, opened, report)


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


def _refuse_unreadable(opened: Source) -> None:
    """Read the first item: what cannot be read at all is not remembered."""
    next(iter(opened.read()), None)


@contextlib.contextmanager
def _reading(location: str) -> Iterator[Callable[[int], None]]:
    """A line that counts items while they are read."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status(f"reading {location}") as line:
        yield lambda count: line.update(f"reading {location}: {count:,} items")
