"""Dagster's and MLflow's pages behind :class:`~twin_serving.processes.web_access.WebAccess`, each in its process.

``python -m twin_serving.processes.web_interfaces dagster|mlflow …`` takes the options that
:mod:`twin_serving.processes.servers` writes: for Dagster all of ``dagster-webserver``'s, for MLflow ``--host``,
``--port`` and ``--artifacts-destination``.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from twin_resources.config.settings import Settings, load
from twin_serving.api.security import check_binding, is_loopback
from twin_serving.processes.web_access import WebAccess

MLFLOW_ASSISTANT = "/ajax-api/3.0/mlflow/assistant"
"""Runs commands on this machine for whoever opens the page; MLflow has no switch for it."""


def dagster_guarded(app: ASGIApp, settings: Settings, host: str) -> WebAccess:
    """Dagster's application behind the guard."""
    return WebAccess(
        app,
        title="Dagster UI",
        local=is_loopback(host),
        digests=_digests(settings),
        open_paths=("/server_info",),
        graphql="/graphql",
    )


def mlflow_guarded(app: ASGIApp, settings: Settings, host: str) -> WebAccess:
    """MLflow's application behind the guard, without its assistant."""
    return WebAccess(
        app,
        title="MLflow UI",
        local=is_loopback(host),
        digests=_digests(settings),
        open_paths=("/health", "/version"),
        closed=(MLFLOW_ASSISTANT,),
    )


def _digests(settings: Settings) -> Callable[[], Collection[bytes] | None]:
    known = [hashlib.sha256(key.encode()).digest() for key in settings.keys]
    return lambda: known or None


def run_dagster(settings: Settings, arguments: Sequence[str]) -> None:
    """Become ``dagster-webserver``: its command makes the application, and we put the guard around it."""
    from dagster_webserver import cli

    make: Callable[..., Any] = cli.create_app_from_workspace_process_context
    host = _option(arguments, "-h", "--host") or "127.0.0.1"
    check_binding(settings, host)

    def guarded(*positional: Any, **named: Any) -> WebAccess:
        return dagster_guarded(make(*positional, **named), settings, host)

    cli.create_app_from_workspace_process_context = guarded  # pyright: ignore[reportPrivateImportUsage]
    cli.dagster_webserver.main(list(arguments), prog_name="dagster-webserver", auto_envvar_prefix="DAGSTER_WEBSERVER")


def run_mlflow(settings: Settings, arguments: Sequence[str]) -> None:
    """Become MLflow's server, in one process instead of three, over ``MLFLOW_BACKEND_STORE_URI``."""
    parser = argparse.ArgumentParser(prog="mlflow")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--artifacts-destination", required=True)
    chosen = parser.parse_args(list(arguments))
    check_binding(settings, chosen.host)

    from mlflow import server

    uri = os.environ["MLFLOW_BACKEND_STORE_URI"]
    os.environ[server.BACKEND_STORE_URI_ENV_VAR] = uri
    os.environ[server.REGISTRY_STORE_URI_ENV_VAR] = uri
    os.environ[server.ARTIFACT_ROOT_ENV_VAR] = "mlflow-artifacts:/"
    os.environ[server.ARTIFACTS_DESTINATION_ENV_VAR] = chosen.artifacts_destination
    os.environ[server.SERVE_ARTIFACTS_ENV_VAR] = "true"
    server.handlers.initialize_backend_stores(uri, uri, "mlflow-artifacts:/")

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
