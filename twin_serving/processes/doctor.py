"""What is missing on this machine, and how to fix it: one check a line."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from twin_resources.config.settings import Settings, SettingsError, load
from twin_resources.database import postgres, shards
from twin_resources.errors import SourceError
from twin_resources.generation.base import GeneratorError
from twin_resources.generation.openai import OpenAIGenerator
from twin_resources.models import hub
from twin_resources.network.browser import chromium
from twin_resources.sources.network import NetworkSource
from twin_resources.sources.opener import SourceOpener
from twin_resources.sources.registry import registry
from twin_serving.processes import engine, supervisor
from twin_serving.processes.dagster_state import orchestration
from twin_serving.processes.servers import list_servers, port_in_use

Level = Literal["ok", "warn", "fail"]
_GIB = 1024**3


@dataclass(frozen=True)
class Check:
    """One finding; ``remedy`` says what to do where it is not ``ok``."""

    level: Level
    subject: str
    finding: str
    remedy: str = ""


def examine(config: Path | None = None) -> Iterator[Check]:
    """Look at everything, the cheapest first; what depends on ``twin.yaml`` is left out while that is wrong."""
    yield _python()
    yield from _packages()
    yield _memory()
    yield _chromium()
    try:
        settings = load(config)
    except SettingsError as error:
        for line in str(error).splitlines():
            yield Check("fail", "twin.yaml", line, "fix the line that it names, or write a new file with `twin init`")
        return
    yield Check("ok", "twin.yaml", f"{settings.config}: {len(settings.authors)} author(s)")
    yield _disk(settings)
    yield from _sources(settings)
    yield from _models(settings)
    yield from _ports(settings)
    yield from engines(settings)
    yield from _database(settings)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Check("ok", "Python", version)
    return Check("fail", "Python", f"{version} is not supported", "use Python 3.11, 3.12 or 3.13 and `make setup`")


def _packages() -> Iterator[Check]:
    wanted = ("torch", "transformers", "peft", "dagster", "dagster_webserver", "dagster_postgres", "mlflow")
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        yield Check("fail", "packages", f"not installed: {', '.join(missing)}", "run `make setup`")
    else:
        yield Check("ok", "packages", "all installed")


def _memory() -> Check:
    free = psutil.virtual_memory().available / _GIB
    if free >= 4:
        return Check("ok", "memory", f"{free:.1f} GB available")
    level: Level = "warn" if free >= 2 else "fail"
    remedy = "everything together takes about 4 GB; `twin up --api-only` takes about 1.5 GB"
    return Check(level, "memory", f"{free:.1f} GB available", remedy)


def _chromium() -> Check:
    found = chromium()
    if found:
        return Check("ok", "Chromium", f"{found} (for Medium's archive, LinkedIn's activity page, and tests)")
    return Check("warn", "Chromium", "not found; needed for Medium's archive and by tests", "apt-get install chromium")


def _disk(settings: Settings) -> Check:
    free = postgres.free_disk(settings.home)
    finding = f"{free / _GIB:.1f} GB free at {settings.home}"
    if free < supervisor.NEEDED_DISK:
        return Check("fail", "disk", finding, "make 2 GB free, or put the state elsewhere with TWIN_HOME")
    return Check(
        "ok" if free > 5 * _GIB else "warn", "disk", finding, "training keeps checkpoints; 5 GB are comfortable"
    )


def _sources(settings: Settings) -> Iterator[Check]:
    if not settings.authors:
        yield Check("fail", "authors", "none", "add one under `authors:`, or write the file with `twin init`")
    for author in settings.authors:
        if not author.sources:
            yield Check("warn", f"sources of {author.id}", "none", "add some under `sources:`, or use `twin import`")
        for entry in author.sources:
            subject = f"source {entry.kind} of {author.id}"
            try:
                opened = SourceOpener.of(settings).entry(author.author, entry)
            except SourceError as error:
                yield Check("fail", subject, str(error), "correct this source in twin.yaml")
                continue
            location = opened.location
            if isinstance(opened, NetworkSource):
                yield from _network(settings, subject, opened)
            elif "://" in location or location.startswith("git@"):
                yield Check("ok", subject, f"{location} (not asked)")
            elif not Path(location).exists():
                yield Check(
                    "fail", subject, f"{location} does not exist", "correct the location, relative to twin.yaml"
                )
            else:
                path = Path(location)
                # A folder of notes may hold anything, and a checkout without .git is named by its `url`.
                known = (
                    entry.kind in ("folder", "linkedin_inbox")
                    or "url" in entry.options
                    or registry()[entry.kind].recognises(path)
                )
                other = f"{location} does not look like {entry.kind}"
                remedy = "compare it with the platform's export, or name another kind"
                yield Check("ok", subject, location) if known else Check("warn", subject, other, remedy)


def _network(settings: Settings, subject: str, opened: NetworkSource) -> Iterator[Check]:
    """Whether a source of the network has what it needs; the platform itself is not asked."""
    missing = list(opened.wants(settings.folder))
    for fatal, finding, remedy in missing:
        yield Check("fail" if fatal else "warn", subject, finding, remedy)
    if not missing:
        yield Check("ok", subject, f"{opened.location} (not asked)")


def _models(settings: Settings) -> Iterator[Check]:
    chosen = settings.models
    for role, name in (("embedding", chosen.embedding), ("base", chosen.base), ("reranker", chosen.reranker)):
        subject = f"{role} model"
        if name is None:
            yield Check("ok", subject, "switched off")
            continue
        package = name.replace("-", "_")
        if name in hub.PACKAGED and importlib.util.find_spec(package) is not None:
            yield Check("ok", subject, f"{name}, shipped by an installed package")
            continue
        try:
            yield Check("ok", subject, f"{name} in {hub.resolve(name, settings, ask_hub=False)}")
        except hub.ModelNotFound:
            if role == "reranker":
                finding = f"{name} is not here: search works, but nothing is re-ranked, and responses say so"
                remedy = "name it under `models:` to fetch it from the Hub, or set `reranker: null`"
                yield Check("warn", subject, finding, remedy)
            elif name in chosen.model_dump(exclude_unset=True).values():
                yield Check("warn", subject, f"{name} is not here yet", "it is fetched from the Hub on first use")
            else:
                yield Check("fail", subject, f"{name} is not here", f"pip install {name}, or name another model")


def _ports(settings: Settings) -> Iterator[Check]:
    ours = supervisor.running_pid(settings)
    for server in list_servers(settings).values():
        if server.port is None:
            continue
        subject = f"port {server.port}"
        if not port_in_use(server.host, server.port):
            yield Check("ok", subject, f"free for the {server.title}")
        elif ours:
            yield Check("ok", subject, f"the {server.title} of `twin up` (process {ours})")
        else:
            remedy = f"end that program, or set {server.setting} to another port"
            yield Check("fail", subject, f"in use by another program; the {server.title} needs it", remedy)


def engines(settings: Settings) -> Iterator[Check]:
    """Engines that are asked over the network, and the one that `twin up --engine sglang` would start."""
    for url in settings.engine_urls:
        asked = OpenAIGenerator.at(url, settings, stop=())
        try:
            found = asked.listed()
        except GeneratorError as error:
            yield Check("fail", "engine", str(error), "start it, or correct TWIN_ENGINE_URL and TWIN_ENGINE_KEY")
            continue
        finally:
            asked.close()
        adapters = ", ".join(found.adapters) or "no adapters"
        if found.problem:
            yield Check("warn", "engine", found.problem, "see its log; until it answers, others do, or quotations")
        else:
            yield Check("ok", "engine", f"{url} serves {found.model} with {adapters}")
    if settings.engine_urls or not settings.engine.python:
        return
    if found := list(engine.problems(settings.engine)):
        for each in found:
            yield Check("warn", "engine", each, "until then `twin up --engine sglang` does not start")
    else:
        version = engine.version_of(settings.engine.python)
        yield Check(
            "ok", "engine", f"SGLang {version} of {settings.engine.python}; `twin up --engine sglang` starts it"
        )


def _database(settings: Settings) -> Iterator[Check]:
    try:
        found = shards.prepare(settings)
        with postgres.connection(found) as session:
            server = session.execute("SHOW server_version").fetchone()
            vector = session.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
            revision = session.execute("SELECT version_num FROM alembic_version").fetchone()
    except postgres.DatabaseError as error:
        yield Check("fail", "database", str(error), "start it, or correct TWIN_DATABASE_URL")
        return
    kind = "external" if settings.database_url else "embedded"
    yield Check("ok", "database", f"{kind} PostgreSQL {server[0] if server else '?'}")
    if vector:
        yield Check("ok", "pgvector", str(vector[0]))
    else:
        yield Check("fail", "pgvector", "not installed in this database", "CREATE EXTENSION vector; as a superuser")
    yield Check("ok", "schema", f"migrated to {revision[0] if revision else 'nothing'}")
    state = orchestration(found, 0, supervised=supervisor.daemon_possible(settings))
    if state.daemon_alive:
        yield Check("ok", "Dagster daemon", "alive")
    else:
        yield Check("warn", "Dagster daemon", state.sentence, "`twin up` starts it; `twin run` needs none")
