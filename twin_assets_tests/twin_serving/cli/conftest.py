"""A folder, a warehouse and an author for what is typed."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from twin_assets_tests.support.command_line import CONSENT, URL, Twin
from twin_assets_tests.support.processes import free_ports
from twin_resources.config.settings import Settings, load
from twin_resources.database import postgres, schema


@pytest.fixture(scope="session")
def database(server: Settings) -> postgres.Databases:
    """One migrated database for all that is typed."""
    ours = postgres.databases(server.postgres).twin
    url = ours.set(database=f"cli_{uuid.uuid4().hex[:12]}")
    with postgres.connection(postgres.Databases(ours.set(database="postgres"))) as session:
        session.execute(f"CREATE DATABASE {url.database}".encode())
    return postgres.prepare(server.model_copy(update={"database_url": SecretStr(url.render_as_string(False))}).postgres)


@pytest.fixture
def twin(tmp_path: Path, database: postgres.Databases, monkeypatch: pytest.MonkeyPatch) -> Twin:
    """An empty folder and an empty warehouse."""
    with postgres.connection(database) as session:
        session.execute(f"TRUNCATE {', '.join(schema.metadata.tables)} CASCADE".encode())
    monkeypatch.chdir(tmp_path)
    for name in ("TWIN_CONFIG", "TWIN_DEBUG", "TWIN_API_KEYS", "TWIN_ENGINE_URL", "TWIN_ENGINE__PYTHON"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / ".twin"))
    monkeypatch.setenv("TWIN_DATABASE_URL", database.twin.render_as_string(hide_password=False))
    for name, port in zip(("TWIN_API_PORT", "TWIN_DAGSTER_PORT", "TWIN_MLFLOW_PORT"), free_ports(3), strict=True):
        monkeypatch.setenv(name, str(port))
    return Twin(tmp_path)


@pytest.fixture
def ada(twin: Twin, data: Path) -> Twin:
    """``twin`` with one author and two imported documents."""
    twin("init", "--id", "ada", "--name", "Ada Example", "--consent", CONSENT, "--source", "folder:notes")
    lines = [
        {"url": URL, "title": "On clocks", "markdown": "A clock has a pendulum.", "byline": "Ada Example"},
        {"url": "https://ada.example/b", "text": "A kettle sings.", "category": "posts"},
    ]
    (twin.folder / "mine.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    twin("import", "mine.jsonl")
    return twin


@pytest.fixture
def engine(ada: Twin) -> sa.Engine:
    return sa.create_engine(postgres.databases(load().postgres).engine_url, poolclass=sa.NullPool)
