"""The API tells Dagster what it serves where Dagster is another machine: by name, past the guard, with a key."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import httpx
import pytest

from twin_assets_tests.support.processes import external, free_ports, within
from twin_assets_tests.support.tiny_models import TinyModels
from twin_assets_tests.twin_serving.processes.conftest import CONFIG
from twin_resources.config.settings import Settings, load
from twin_resources.database import postgres
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.releases import Releases
from twin_serving.answering.engine import AnswerEngine
from twin_serving.processes.servers import ROOT, environment

TWIN = (sys.executable, "-m", "twin_serving.cli")
KEY = "a-key-of-the-administrator"


@pytest.fixture
def elsewhere(home: Path, server: Settings, tiny: TinyModels, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Dagster as its container runs it, and the settings of an API that knows it by a name that is not loopback."""
    name = socket.gethostname()
    if name == "localhost":
        pytest.skip("this machine has no name but localhost")
    (home / "twin.yaml").write_text(f"{CONFIG}models: {{base: {tiny.base}, dtype: float32}}\n")
    held = external(home, server).database_url
    assert held is not None
    variables = {
        "TWIN_CONFIG": str(home / "twin.yaml"),
        "TWIN_HOME": str(home / "state"),
        "TWIN_DATABASE_URL": held.get_secret_value(),
        "TWIN_API_KEYS": KEY,
        "TWIN_DAGSTER_PORT": str(free_ports(1)[0]),
        "HTTP_PROXY": "http://127.0.0.1:1",
    }
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("TWIN_DAGSTER_URL", f"http://{name}:{variables['TWIN_DAGSTER_PORT']}/")
    settings = load()
    command = [sys.executable, "-m", "twin_serving.processes.guard", *TWIN, "serve", "dagster", "--host", "0.0.0.0"]
    with (home / "dagster.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=log, stderr=log, env={**os.environ, "NO_PROXY": "*"}
        )
    try:
        assert within(120, lambda: _answers(settings) or process.poll() is not None)
        assert process.poll() is None, (home / "dagster.log").read_text()
        yield settings
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _answers(settings: Settings) -> bool:
    try:
        return httpx.get(f"{settings.dagster_address}/server_info", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def test_what_is_served_is_reported_to_a_webserver_elsewhere(
    elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = postgres.databases(elsewhere.postgres)
    database = postgres.engine(found)
    for name, value in environment(elsewhere, found).items():
        monkeypatch.setenv(name, value)
    engine = AnswerEngine(elsewhere, Releases(database), ArtifactStore.of(elsewhere), poll_seconds=0.2)
    engine.start()
    try:
        with dg.DagsterInstance.get() as instance:
            serving = dg.AssetRecordsFilter(dg.AssetKey("serving"), asset_partitions=["ada"])
            assert within(60, lambda: instance.fetch_materializations(serving, limit=1).records)
    finally:
        engine.stop()
