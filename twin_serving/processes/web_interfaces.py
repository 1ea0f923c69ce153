"""Dagster's and MLflow's pages behind :class:`~twin_serving.processes.web_access.WebAccess`, each in its process.

``python -m twin_serving.processes.web_interfaces dagster|mlflow …`` takes the options that
:mod:`twin_serving.processes.servers` writes: for Dagster all of ``dagster-webserver``'s, for MLflow ``--host``,
``--port`` and ``--artifacts-destination``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from twin_resources.config.settings import Settings, load
from twin_resources.database import postgres
from twin_resources.runtime.tracking import creating_tables
from twin_resources.storage.keys import ApiKeys, digest, internal_key
from twin_serving.api.keys import KeyRing
from twin_serving.api.security import check_binding, is_loopback
from twin_serving.processes.web_access import WebAccess

MLFLOW_ASSISTANT = "/ajax-api/3.0/mlflow/assistant"
"""Runs commands on this machine for whoever opens the page; MLflow has no switch for it."""

_MAKER = "create_app_from_workspace_process_context"
"""What ``dagster-webserver`` makes its application with."""


def dagster_guarded(app: ASGIApp, settings: Settings, host: str) -> WebAccess:
    """Dagster's application behind the guard."""
    return WebAccess(
        app,
        title="Dagster UI",
        local=is_loopback(host),
        digests=_digests(settings, host),
        open_paths=("/server_info",),
        graphql="/graphql",
    )


def mlflow_guarded(app: ASGIApp, settings: Settings, host: str) -> WebAccess:
    """MLflow's application behind the guard, without its assistant."""
    return WebAccess(
        app,
        title="MLflow UI",
        local=is_loopback(host),
        digests=_digests(settings, host),
        open_paths=("/health", "/version"),
        closed=(MLFLOW_ASSISTANT,),
    )


def _digests(settings: Settings, host: str) -> Callable[[], Collection[bytes] | None]:
    """Reads which keys may come in: those that administer, because the pages show every author, and our own."""
    ours = digest(internal_key(settings.home))

    def store() -> ApiKeys:
        return ApiKeys(postgres.engine(postgres.databases(settings.postgres)))

    ring = KeyRing(settings.keys, store, needed=not is_loopback(host))

    def read() -> Collection[bytes] | None:
        ring.read()
        return [*ring.admins(), ours] if ring.needed or not ring.loaded else None

    return read


def run_dagster(settings: Settings, arguments: Sequence[str]) -> None:
    """Become ``dagster-webserver``: its command makes the application, and we put the guard around it."""
    from dagster_webserver import cli

    make: Callable[..., Any] = getattr(cli, _MAKER)  # raises where a version of Dagster names it otherwise
    host = _option(arguments, "-h", "--host") or "127.0.0.1"
    check_binding(settings, host)

    def guarded(*positional: Any, **named: Any) -> WebAccess:
        return dagster_guarded(make(*positional, **named), settings, host)

    setattr(cli, _MAKER, guarded)
    cli.dagster_webserver.main(list(arguments), prog_name="dagster-webserver", auto_envvar_prefix="DAGSTER_WEBSERVER")


def run_mlflow(settings: Settings, arguments: Sequence[str]) -> None:
    """Become MLflow's server, in one process instead of three, over ``MLFLOW_BACKEND_STORE_URI``."""
    parser = argparse.ArgumentParser(prog="mlflow")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--artifacts-destination", required=True)
    chosen = parser.parse_args(list(arguments))
    check_binding(settings, chosen.host)

    from mlflow.server import constants
    from mlflow.server.handlers import initialize_backend_stores

    uri = os.environ["MLFLOW_BACKEND_STORE_URI"]
    os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = uri
    os.environ[constants.REGISTRY_STORE_URI_ENV_VAR] = uri
    os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = "mlflow-artifacts:/"
    os.environ[constants.ARTIFACTS_DESTINATION_ENV_VAR] = chosen.artifacts_destination
    os.environ[constants.SERVE_ARTIFACTS_ENV_VAR] = "true"
    with creating_tables(postgres.databases(settings.postgres)):
        initialize_backend_stores(uri, uri, "mlflow-artifacts:/")

    from mlflow.server.fastapi_app import app

    guarded = mlflow_guarded(app, settings, chosen.host)
    uvicorn.run(guarded, host=chosen.host, port=chosen.port, log_level="warning", server_header=False)


def _option(arguments: Sequence[str], *names: str) -> str | None:
    return next((after for name, after in pairwise(arguments) if name in names), None)


def main(arguments: Sequence[str]) -> None:
    """Run the interface that the first argument names."""
    interfaces = {"dagster": run_dagster, "mlflow": run_mlflow}
    if not arguments or arguments[0] not in interfaces:
        sys.exit(f"usage: python -m twin_serving.processes.web_interfaces {'|'.join(interfaces)} …")
    interfaces[arguments[0]](load(), arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
