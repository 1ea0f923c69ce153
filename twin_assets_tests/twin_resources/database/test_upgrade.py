"""What the first version stored, with nothing lost, is read by the code of today."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
import yaml
from alembic.script import ScriptDirectory

from twin_assets_tests.support.databases import at_revision, migrations
from twin_resources.config.settings import Settings, load
from twin_resources.database import postgres
from twin_resources.features import FeatureStore
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.search import Options
from twin_resources.retrieval.vectors import VectorIndex
from twin_resources.sources.base import Author
from twin_resources.sources.opener import SourceOpener
from twin_resources.storage import lineage
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.calls.interactions import Interactions
from twin_resources.storage.datasets import Datasets
from twin_resources.storage.releases import Releases
from twin_resources.storage.reports import Reports
from twin_resources.storage.warehouse import Warehouse

FIRST = "0001"
CHAMPION = "ada-2a22fbcb"
AUTHOR = Author("ada", "Ada Berg", ())
Rows = dict[str, list[dict[str, Any]]]


def revisions() -> list[str]:
    """Every revision, the first one first."""
    return [each.revision for each in reversed(list(ScriptDirectory.from_config(migrations()).walk_revisions()))]


def keys(engine: sa.Engine) -> dict[str, list[str]]:
    """The columns of each table's primary key."""
    found = sa.inspect(engine)
    return {name: found.get_pk_constraint(name)["constrained_columns"] for name in found.get_table_names()}


def fill(engine: sa.Engine, rows: Rows) -> None:
    """Store rows as JSON has them; Postgres gives each value its type."""
    with engine.begin() as session:
        for table, each in rows.items():
            columns = ", ".join(f'"{name}"' for name in each[0])
            statement = (
                f"INSERT INTO {table} ({columns}) SELECT {columns} FROM json_populate_recordset(null::{table}, :rows)"
            )
            session.execute(sa.text(statement), {"rows": json.dumps(each)})
        for table in ("approval", "feedback"):
            session.execute(sa.text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"))


def stored(engine: sa.Engine, table: str, columns: list[str]) -> list[dict[str, Any]]:
    """The rows of a table as JSON has them, without columns that came later."""
    with engine.connect() as session:
        found = session.scalars(sa.text(f"SELECT row_to_json(each)::text FROM {table} AS each"))
        return [{name: value for name, value in json.loads(row).items() if name in columns} for row in found]


@pytest.fixture(scope="module")
def rows(data: Path) -> Rows:
    return json.loads((data / "state_0001" / "rows.json").read_text("utf-8"))


@pytest.fixture
def old(new_settings: Callable[..., Settings], rows: Rows, data: Path) -> Settings:
    """A state as the first version left it: rows under the first revision of the schema, and artifacts."""
    settings = new_settings(blank=True)
    engine = at_revision(settings, FIRST)
    assert set(rows) == set(keys(engine)) - {"alembic_version"}, "no table is left out"
    fill(engine, rows)
    engine.dispose()
    shutil.copytree(data / "state_0001" / "artifacts", settings.home / "artifacts")
    return settings


def test_each_migration_goes_over_data_and_keeps_every_row(old: Settings, rows: Rows) -> None:
    assert revisions()[0] == FIRST
    for revision in revisions():
        engine = at_revision(old, revision)
        try:
            known = keys(engine)
            for table, before in rows.items():
                key = known[table]
                after = {tuple(row[name] for name in key): row for row in stored(engine, table, list(before[0]))}
                lost = [row for row in before if after.get(tuple(row[name] for name in key)) != row]
                assert not lost, f"{revision} loses or changes rows of {table}"
        finally:
            engine.dispose()


def test_a_twin_yaml_with_every_setting_of_then_says_the_same(data: Path) -> None:
    path = data / "state_0001" / "twin.yaml"
    settings = load(path)
    written = yaml.safe_load(path.read_text("utf-8"))
    for section in ("models", "training", "release", "retrieval", "monitoring"):
        assert written[section].items() <= getattr(settings, section).model_dump().items()
    author = settings.author("ada")
    assert (author.aliases, author.schedule) == (("Ada",), "0 6 * * 1")
    assert [(each.kind, each.options) for each in author.sources] == [("folder", {"base_url": "https://ada.example"})]


@pytest.fixture
def upgraded(old: Settings) -> Iterator[sa.Engine]:
    """That state as the first start of this version leaves it."""
    engine = postgres.engine(postgres.prepare(old.postgres))
    yield engine
    engine.dispose()


def test_texts_are_known_again_and_what_was_forgotten_stays_so(old: Settings, upgraded: sa.Engine, data: Path) -> None:
    warehouse = Warehouse(upgraded)
    (source,) = stored(upgraded, "source", ["id", "options"])
    opener = SourceOpener.of(old)
    opened = opener.open(AUTHOR, "folder", str(data / "state_0001" / "notes"), source["options"])
    before = warehouse.raw_hash("ada", "folder")
    report = warehouse.read(opener, "ada", source["id"], opened)
    assert (report.new, report.changed, report.unchanged, report.gone, len(report.quarantined)) == (0, 0, 10, 0, 1)
    assert warehouse.raw_hash("ada", "folder") == before
    found = warehouse.documents.at("ada", ["https://ada.example/bread", "https://ada.example/letters"])
    assert {url: each.gone for url, each in found.items()} == {"https://ada.example/bread": True}
    (tides,) = lineage.of_url(upgraded, "https://ada.example/tides")["documents"]
    assert len(tides["versions"]) == 2
    assert [each["version"] for each in tides["adapters"]] == [CHAMPION]


def test_passages_join_to_their_texts_and_are_found_by_the_vectors_of_then(
    old: Settings, upgraded: sa.Engine, embedder: Embedder
) -> None:
    warehouse = Warehouse(upgraded)
    features = FeatureStore(upgraded, ArtifactStore.of(old))
    assert len(list(features.documents("ada").rows)) == 10
    assert len(list(features.passages("ada").rows)) == 20
    assert list(warehouse.chunks.broken("ada", "articles")) == []
    vectors = VectorIndex(upgraded, old.models.embedding)
    assert (vectors.missing("ada"), vectors.count("ada")) == (0, 20)
    assert vectors.publish("ada")
    question = "Why does a clock keep better time?"
    vector = embedder.encode_questions([question])[0]
    for mode in ("dense", "lexical", "hybrid"):
        hits = features.search("ada").find("ada", question, vector, k=1, options=Options(mode))
        assert [hit.url for hit in hits] == ["https://ada.example/clocks"], mode


def test_datasets_adapters_aliases_and_what_people_said_are_read(old: Settings, upgraded: sa.Engine) -> None:
    features = FeatureStore(upgraded, ArtifactStore.of(old))
    for kind in ("instruct", "retrieval", "preference"):
        dataset = features.dataset("ada", kind)
        assert dataset is not None
        if kind == "instruct":
            made = {each.sample_id for each in Datasets(upgraded).members(dataset.version.id)}
            files = [dataset.folder / f"{split}.parquet" for split in ("train", "validation", "test")]
            assert made == {key for file in files for key in pq.read_table(file)["id"].to_pylist()}
    releases = Releases(upgraded)
    champion, candidate = (releases.alias("ada", name) for name in ("champion", "candidate"))
    assert champion is not None
    assert candidate is not None
    assert champion.version == candidate.version == CHAMPION
    (approved,) = releases.history("ada")
    assert (approved.action, approved.version, approved.comment) == ("approve", CHAMPION, "reads like me")
    adapter = releases.newest_adapter("ada")
    assert adapter is not None
    assert (ArtifactStore.of(old).folder(adapter.artifact) / "adapter_model.safetensors").stat().st_size > 0
    (said,) = Interactions(upgraded).corrections("ada")
    assert (said.asked, said.correction) == ("Why does a clock keep better time?", "Because it is wound every day.")
    measured = Reports(upgraded).newest("ada", "generation")
    assert measured is not None
    assert measured.subject == CHAMPION
