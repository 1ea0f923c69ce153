"""Starting and stopping servers: for a person, for `make run`, and one in a container."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from twin_serving.cli.context import load_settings
from twin_serving.cli.errors import CommandError
from twin_serving.cli.output import say

if TYPE_CHECKING:
    from twin_resources.config.settings import Settings
    from twin_serving.processes.servers import Server
    from twin_serving.processes.supervisor import Supervisor


def up(
    api_only: Annotated[bool, typer.Option("--api-only", help="Only the API and the chat page.")] = False,
    engine: Annotated[
        str | None,
        typer.Option(help="Who answers: embedded, sglang (at TWIN_ENGINE_URL, or started by engine.python) or none."),
    ] = None,
    daemon: Annotated[bool, typer.Option("--daemon/--no-daemon", help="Let the graph move by itself.")] = True,
) -> None:
    """Start the servers and stay until Ctrl-C."""
    settings = load_settings()
    without = _hidden_variables(settings, engine)
    names = ["api"] if api_only else ["api", "dagster", "mlflow", *(["daemon"] if daemon else [])]
    key = _key_of_engine(settings) if engine == "sglang" and not settings.engine_urls else ""
    if key:
        names.append("engine")
    with _supervised(settings, names, without=without, engine=engine != "none", engine_key=key) as (running, known):
        if key:
            say(f"SGLang loads its model; what it writes is in {running.logs / 'engine.log'}")
        running.start([known[name] for name in names])
        typer.echo(_box(settings, names))
        running.wait()


def _hidden_variables(settings: Settings, engine: str | None) -> list[str]:
    """Check ``--engine``; returns the variables that the servers must not see with it."""
    if engine is None:
        return []
    if engine in ("embedded", "none"):
        return ["TWIN_ENGINE_URL"]
    if engine != "sglang":
        raise typer.BadParameter(f"{engine!r} is none of embedded, sglang, none", param_hint="--engine")
    if not settings.engine_urls:
        return []
    import httpx

    missing = []
    for url in settings.engine_urls:
        try:
            httpx.get(url, timeout=5, trust_env=False)
        except httpx.HTTPError as error:
            missing.append(f"no engine answers at {url} of TWIN_ENGINE_URL: {error}")
    if len(missing) == len(settings.engine_urls):
        raise CommandError("\n".join(missing))
    for each in missing:
        say(f"{each}; the others are asked until it does")
    return []


def _key_of_engine(settings: Settings) -> str:
    """What the SGLang that is started is asked with: that of the settings, or one for this time.

    Raises:
        CommandError: SGLang cannot start here.
    """
    import secrets

    from twin_serving.processes.engine import problems

    if found := list(problems(settings.engine)):
        raise CommandError("\n".join(found))
    return settings.engine_secret or secrets.token_urlsafe(32)


@contextlib.contextmanager
def _supervised(
    settings: Settings,
    names: Sequence[str],
    *,
    without: Sequence[str] = (),
    engine: bool = True,
    engine_key: str = "",
) -> Iterator[tuple[Supervisor, dict[str, Server]]]:
    """A supervisor that holds nothing yet, and the servers it may start; Ctrl-C ends it quietly."""
    from twin_resources.database import postgres
    from twin_serving.processes import supervisor
    from twin_serving.processes.servers import list_servers, prepare_dagster

    wanted = list_servers(settings, engine_key=engine_key)
    supervisor.check_start(settings, [wanted[name] for name in names])
    # Opened before anything is prepared: from here on, whatever ends us also ends the database.
    try:
        with supervisor.Supervisor(settings, postgres.databases(settings.postgres), say=say, without=without) as it:
            found = postgres.prepare(settings.postgres)
            prepare_dagster(settings)
            yield it, list_servers(settings, found, engine=engine, engine_key=engine_key)
    except supervisor.Stopped:
        say("stopped")


def _box(settings: Settings, names: Sequence[str]) -> str:
    from twin_serving.processes.servers import list_servers

    known = list_servers(settings)
    lines = [f"{known[name].title:<20} {known[name].url}" for name in names if known[name].url]
    lines += ["", "Ctrl-C stops everything."]
    width = max(len(line) for line in lines)
    body = [f"│ {line:<{width}} │" for line in lines]
    return "\n".join([f"╭{'─' * (width + 2)}╮", *body, f"╰{'─' * (width + 2)}╯"])


def stop() -> None:
    """Stop what a forgotten `twin up` left running, and the embedded Postgres."""
    from twin_serving.processes import supervisor

    done = supervisor.stop(load_settings())
    typer.echo(f"stopped {' and '.join(done)}" if done else "nothing was running")


def main_flow() -> None:
    """Start the servers, run the whole graph for every author, then let it move by itself: `make run`."""
    settings = load_settings()
    if not settings.authors:
        raise CommandError(f"{settings.config} names no author; add one under `authors:`")
    names = ["api", "dagster", "mlflow"]
    failed: list[str] = []
    with _supervised(settings, [*names, "daemon"]) as (running, known):
        running.launch([known[name] for name in names])
        running.ready(["api"])
        for author in settings.authors:
            say(f"building the twin of {author.name} ({author.id}) from {settings.config}")
            if running.foreground([sys.executable, "-m", "twin_assets.run", "--author", author.id]):
                failed.append(author.id)
        running.ready(names)
        # Only now: the daemon would start the very assets that were being made in the foreground.
        running.launch([known["daemon"]])
        for author_id in failed:
            say(f"the graph did not finish for {author_id}; see above, or the runs in the Dagster UI")
        typer.echo("\n" + _box(settings, names))
        running.wait()
    if failed:
        raise typer.Exit(1)


def serve(
    name: Annotated[str, typer.Argument(help="api, dagster, daemon, mlflow or worker")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "",
    code_server: Annotated[str, typer.Option(help="host:port of the worker that holds the graph.")] = "",
) -> None:
    """Become one server, for a container that holds nothing else."""
    from twin_resources.database import postgres
    from twin_serving.processes.servers import ROOT, environment, list_servers, prepare_dagster, worker_command

    settings = load_settings()
    found = postgres.prepare(settings.postgres)
    prepare_dagster(settings)
    variables = environment(settings, found)
    known = list_servers(settings, found, host=host, code_server=code_server)
    if name == "worker":
        command = worker_command(host)
    elif name in known:
        command = known[name].command
        variables |= known[name].environment
    else:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(known)}, worker", param_hint="NAME")
    os.chdir(ROOT)
    os.execve(command[0], list(command), variables)


def serve_api(engine: Annotated[bool, typer.Option("--engine/--no-engine")] = True) -> None:
    """Run the API in this process."""
    from twin_serving.api.app import serve as serve_app

    serve_app(load_settings(), engine=engine)


def serve_engine() -> None:
    """Run the SGLang of the section `engine` below this process."""
    from twin_serving.processes import engine

    engine.run(load_settings())


def release_database() -> None:
    """Stop the embedded Postgres unless a `twin up` lives; the last guard calls it."""
    from twin_resources.database import postgres
    from twin_serving.processes import supervisor

    settings = load_settings()
    if supervisor.running_pid(settings) is None:
        postgres.stop(settings.postgres)
