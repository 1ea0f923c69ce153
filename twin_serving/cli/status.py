"""How far each author is, what ran last, what is up, and what could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin_serving.cli.context import AsJson, Author, author_of, current_user, load_settings, open_database
from twin_serving.cli.output import print_json, print_table

if TYPE_CHECKING:
    import sqlalchemy as sa

    from twin_resources.config.settings import Settings
    from twin_serving.processes.dagster_state import Blocked, Run

_COLUMNS = ("documents", "clean_documents", "chunks", "embedded", "datasets", "quarantined", "champion", "candidate")


def status(as_json: AsJson = False) -> None:
    """How far each author is, what ran last, what is up, and what could not be read."""
    from twin_resources.database import postgres
    from twin_resources.database.shards import everywhere
    from twin_resources.storage.sources import Sources
    from twin_serving.answering.sources import source_rows
    from twin_serving.processes.dagster_state import orchestration
    from twin_serving.processes.supervisor import daemon_possible

    settings = load_settings()
    found, engine = open_database(settings)
    authors = _authors(settings, engine)
    each_database = [Sources(each) for each in everywhere(settings, engine)]
    unreadable = [row for each in each_database for row in each.unreadable()]
    sources = source_rows(settings, [row for each in each_database for row in each.readings()])
    state = orchestration(found, supervised=daemon_possible(settings))
    servers = _servers(settings)
    engines = engines_seen(settings, servers["api"]["url"]) if servers["api"]["up"] else []
    pid = postgres.pid(settings.postgres)
    if as_json:
        print_json(
            {
                "config": settings.config,
                "home": settings.home,
                "authors": authors,
                "sources": sources,
                "servers": servers,
                "engines": engines,
                "orchestration": state.as_dict(),
                "database": {"embedded": settings.database_url is None, "pid": pid},
                "quarantine": unreadable,
            }
        )
        return
    rows = [(entry["id"], *(entry[name] for name in _COLUMNS)) for entry in authors]
    print_table(f"authors in {settings.config}", ("author", *(name.replace("_", " ") for name in _COLUMNS)), rows)
    if sources:
        typer.echo()
        lines = [source_line(row) for row in sources]
        print_table("sources", ("author", "source", "last read", "then", "next", "cannot be read"), lines)
    typer.echo()
    lines = [(server["title"], server["url"] if server["up"] else "down") for server in servers.values()]
    lines += [_engine_line(each) for each in engines]
    database = f"embedded, process {pid}; `twin stop` ends it" if pid else "external"
    print_table("servers", ("server", "where"), [*lines, ("Dagster daemon", state.sentence), ("database", database)])
    if state.runs:
        typer.echo()
        print_table("last runs (UTC)", ("started", "author", "job", "status", "took"), map(_run_line, state.runs))
    if state.failed:
        typer.echo()
        rows = [(f"{each.at:%m-%d %H:%M}", each.author, each.stage, each.run_id[:8], each.why) for each in state.failed]
        print_table("failed, and not made since (UTC)", ("when", "author", "stage", "run", "why"), rows)
    if state.blocked:
        typer.echo()
        lines = [_blocked_line(each) for each in state.blocked]
        columns = ("when", "author", "stage", "check", "what it says", "what to do")
        print_table("held up by a check that failed (UTC)", columns, lines)
    if unreadable:
        typer.echo()
        rows = [(row["author"], row["item"], row["reason"], row["remedy"]) for row in unreadable]
        print_table("quarantine", ("author", "item", "reason", "what to do"), rows)


def alerts(
    author: Author = None,
    acknowledge: Annotated[int | None, typer.Option(metavar="ID", help="You know of it: no more reminders.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Those that were closed, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """What is wrong at the moment, since when, and who knows of it."""
    from twin_resources.database.shards import main_of
    from twin_resources.storage.alerts import Alerts

    settings = load_settings()
    _, engine = open_database(settings)
    store = Alerts(main_of(engine))
    if acknowledge is not None:
        store.acknowledge(acknowledge, by=current_user())
    found = store.list(author=author_of(settings, author).id if author else None, closed=everything)
    if as_json:
        print_json([asdict(each) for each in found])
        return
    rows = [
        (
            each.id,
            each.author or "all",
            each.rule,
            f"{each.opened_at:%Y-%m-%d %H:%M}",
            f"{each.closed_at:%Y-%m-%d %H:%M}" if each.closed_at else "",
            each.acknowledged_by or "",
            each.text,
        )
        for each in found
    ]
    if not rows:
        typer.echo("nothing is wrong")
        return
    print_table("alerts", ("id", "author", "rule", "since", "until", "known to", "what"), rows)


def _authors(settings: Settings, engine: sa.Engine) -> list[dict[str, Any]]:
    """How far each author is, in numbers, and which adapters have an alias."""
    from twin_resources.database.shards import speak_of
    from twin_resources.retrieval.vectors import VectorIndex
    from twin_resources.storage.datasets import Datasets
    from twin_resources.storage.releases import Releases
    from twin_resources.storage.warehouse import Warehouse

    found = []
    for author in settings.authors:
        speak_of(author.id)
        releases = {alias: release.version for release in Releases(engine).list(author.id) for alias in release.aliases}
        found.append(
            {
                "id": author.id,
                "name": author.name,
                **Warehouse(engine).counts(author.id),
                "embedded": VectorIndex(engine, settings.models.embedding).count(author.id),
                "datasets": len(Datasets(engine).list(author.id)),
                "champion": releases.get("champion"),
                "candidate": releases.get("candidate"),
                "previous": releases.get("previous"),
                "canary": releases.get("canary"),
            }
        )
    return found


def _servers(settings: Settings) -> dict[str, dict[str, Any]]:
    from twin_serving.processes.servers import list_servers

    return {
        server.name: {"title": server.title, "url": server.url, "up": server.answers()}
        for server in list_servers(settings).values()
        if server.port
    }


def engines_seen(settings: Settings, api: str) -> list[dict[str, Any]]:
    """The engines that the running API asks, as it sees them; none where it does not say."""
    import httpx

    from twin_resources.storage.keys import key_of_ours

    try:
        asked = {"Authorization": f"Bearer {key_of_ours(settings)}"}
        return httpx.get(f"{api}/readyz", headers=asked, timeout=5, trust_env=False).json()["engines"]
    except (httpx.HTTPError, ValueError, LookupError):
        return []


def _engine_line(engine: Mapping[str, Any]) -> tuple[str, str]:
    serves = f"serves {', '.join([engine['model'], *engine['adapters']])}"
    return f"engine at {engine['address']}", engine["problem"] or serves


def _run_line(run: Run) -> tuple[object, ...]:
    took = run.seconds and f"{run.seconds:.0f} s"
    return (f"{run.created_at:%Y-%m-%d %H:%M}", run.author, run.job, run.status, took)


def _blocked_line(held: Blocked) -> tuple[object, ...]:
    return (f"{held.at:%m-%d %H:%M}", held.author, held.stage, held.check, held.why, held.remedy)


def source_line(row: Mapping[str, Any]) -> tuple[object, ...]:
    """A row of :func:`source_rows` for a table: author, source, last read, what came of it, next, failure."""
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
