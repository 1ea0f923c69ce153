"""A database with two adapters, and a port that takes what is reported to Dagster."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import sqlalchemy as sa

from twin_assets_tests.support.site import add_adapter
from twin_assets_tests.support.tiny_models import TinyModels
from twin_resources.config.settings import Settings
from twin_resources.database import authors, postgres
from twin_resources.storage.warehouse import Warehouse


@pytest.fixture(autouse=True)
def everybody() -> Iterator[None]:
    """What is tried here has no request whose key would say for which authors it is."""
    with authors.allow(None):
        yield


@pytest.fixture(scope="session")
def dagster() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A port that takes reports as Dagster's webserver does."""
    reports: list[dict[str, Any]] = []

    class Webserver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.headers["Content-Type"] == "application/json"
            reports.append({"path": self.path, **body})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Webserver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1], reports
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def made(
    new_settings: Callable[..., Settings], tiny: TinyModels, dagster: tuple[int, list[dict[str, Any]]]
) -> Iterator[tuple[Settings, sa.Engine]]:
    settings = new_settings(models={"base": str(tiny.base)}, dagster_port=dagster[0])
    database = postgres.engine(postgres.prepare(settings.postgres))
    for author in settings.authors:
        Warehouse(database).record_author(author)
    for name in ("first", "second"):
        add_adapter(settings, database, f"ada-{name}", getattr(tiny, name))
    dagster[1].clear()
    yield settings, database
    database.dispose()
