"""A run opens the database where its author lives, and what looks at all authors that of each."""

import json
from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.engine import URL

from twin_assets_tests.support.servers import emptied
from twin_resources.config.settings import Settings
from twin_resources.database import postgres, schema
from twin_resources.database.postgres import Address
from twin_resources.database.shards import author_engine, everywhere
from twin_resources.forgetting.garbage import collect_garbage
from twin_resources.runtime.resources import Twin
from twin_resources.storage.artifacts import ArtifactStore

AUTHORS = """
authors:
  - {id: ada, name: Ada Berg, consent: "These accounts are mine. 2026-11-21"}
  - {id: bo, name: Bo Lind, consent: "These accounts are mine. 2026-11-21", database: two}
"""


@pytest.fixture
def sharded(settings: Settings, second: URL, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings as the environment of a run has them."""
    emptied(second)
    settings.home.mkdir(exist_ok=True)
    config = settings.home / "twin.yaml"
    config.write_text(AUTHORS)
    address = second.render_as_string(hide_password=False)
    assert settings.database_url
    monkeypatch.setenv("TWIN_CONFIG", str(config))
    monkeypatch.setenv("TWIN_HOME", str(settings.home))
    monkeypatch.setenv("TWIN_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("TWIN_SHARDS__TWO", address)
    changed = Twin().settings
    assert changed.shards == {"two": SecretStr(address)}
    yield changed
    postgres.engine(postgres.databases(Address(settings.home, address))).dispose()


def living(settings: Settings) -> list[list[str]]:
    """The authors with a source in each database."""
    engine = author_engine(settings)
    found = []
    for each in everywhere(settings, engine):
        with each.connect() as session:
            found.append(sorted(session.scalars(sa.select(schema.source.c.author))))
    return found


def test_a_run_writes_where_its_author_lives(sharded: Settings) -> None:
    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["ada", "bo"]))
    def written(context: dg.AssetExecutionContext, twin: Twin) -> None:
        twin.record_author(context.partition_key)
        with twin.engine.begin() as session:
            row = {"id": context.partition_key, "author": context.partition_key, "kind": "folder", "origin": "notes"}
            session.execute(sa.insert(schema.source).values(**row, location="x", options={}, remembered=False))

    for author in ("ada", "bo"):
        assert dg.materialize([written], partition_key=author, resources={"twin": Twin()}).success
    assert living(sharded) == [["ada"], ["bo"]]
    twin = Twin()
    assert [len(twin.of(each).warehouse.sources.readings()) for each in ("ada", "bo")] == [1, 1]
    assert twin.of("bo").warehouse.sources.readings()[0].author == "bo"


def test_nothing_that_another_database_refers_to_is_garbage(sharded: Settings) -> None:
    twin = Twin().of("bo")
    assert twin.engine
    twin.record_author("bo")
    store = ArtifactStore.of(sharded)
    kept = []
    for name in ("ours", "nobodys"):
        folder = sharded.home / name
        folder.mkdir()
        (folder / "report.json").write_text(json.dumps(name))
        kept.append(store.put("reports", folder))
    twin.reports.add("r", "bo", "silence", "bo", {"threshold": 1.0}, kept[0])
    found = collect_garbage(sharded, author_engine(sharded), grace=timedelta(0))
    assert found.artifacts == [kept[1]]
    assert store.exists(kept[0])
