"""A backup is taken while the twin serves, and comes back into an empty place as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.engine import URL

from twin_assets_tests.support import passages
from twin_assets_tests.support.servers import emptied
from twin_resources.backup import databases
from twin_resources.backup.backup import back_up, read, restore
from twin_resources.backup.databases import BackupError
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.database.shards import author_engine
from twin_resources.moving.move import move
from twin_resources.retrieval.embedder import Embedder
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.calls.interactions import Interactions
from twin_resources.storage.reports import Reports
from twin_resources.storage.warehouse import Warehouse


@pytest.fixture
def filled(settings: Settings, engine: sa.Engine, embedder: Embedder, tmp_path: Path) -> Settings:
    """An author with passages, a report with its artifact, and a file of MLflow's."""
    passages.fill(engine, settings, embedder)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").write_text("figures")
    address = ArtifactStore.of(settings).put("reports/test", tmp_path / "report")
    Reports(engine).add("r1", "ada", "test", "ada", {"loss": 1.0}, address)
    (settings.home / "mlflow").mkdir()
    (settings.home / "mlflow" / "curve.csv").write_text("1,2")
    return settings


@contextmanager
def readers(engine: sa.Engine) -> Iterator[None]:
    """Somebody asks all the time."""
    ended, number = threading.Event(), iter(range(10**9))

    def ask() -> None:
        while not ended.wait(0.002):
            Interactions(engine).record(f"trace-{next(number)}", author="ada", call="ask", query="why?", answer="so")

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_what_was_written_while_serving_comes_back_as_it_was(
    filled: Settings, engine: sa.Engine, new_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    with readers(engine):
        made = back_up(filled, tmp_path / "backup")
    place = new_settings(blank=True)
    back = restore(place, tmp_path / "backup")
    assert back == read(tmp_path / "backup") == made
    assert int(made.tables["chunk"][0]) > 0
    other = postgres.engine(postgres.databases(place.postgres))
    for category in ("articles", "posts"):
        assert Warehouse(other).clean.hash("ada", category) == Warehouse(engine).clean.hash("ada", category)
        assert Warehouse(other).chunks.hash("ada", category) == Warehouse(engine).chunks.hash("ada", category)
    report = Reports(other).get("r1")
    assert report is not None
    assert (ArtifactStore.of(place).folder(report.artifact) / "report.html").read_text() == "figures"
    assert (place.home / "mlflow" / "curve.csv").read_text() == "1,2"
    Interactions(other).record("new", author="ada", call="ask", query="and now?", answer="on it goes")
    other.dispose()


def test_nothing_is_put_over_what_is_there(filled: Settings, tmp_path: Path) -> None:
    back_up(filled, tmp_path / "backup")
    with pytest.raises(BackupError, match="is not empty; restore into an empty place"):
        restore(filled, tmp_path / "backup")
    with pytest.raises(BackupError, match="name a folder that does not"):
        back_up(filled, tmp_path / "backup")


@pytest.mark.parametrize("damage", ["databases/twin.dump", "artifacts", "manifest.json"])
def test_a_damaged_backup_changes_nothing(
    filled: Settings, new_settings: Callable[..., Settings], tmp_path: Path, damage: str
) -> None:
    back_up(filled, tmp_path / "backup")
    found = tmp_path / "backup" / damage
    if found.is_dir():
        found = next(path for path in found.rglob("report.html"))
    found.write_bytes(found.read_bytes()[:-3])
    place = new_settings(blank=True)
    with pytest.raises(BackupError, match=r"is damaged|is no backup"):
        restore(place, tmp_path / "backup")
    assert not ArtifactStore.of(place).addresses()


def test_a_backup_that_fails_leaves_nothing_behind(
    filled: Settings, engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "backups" / "today"

    def stop(line: str) -> None:
        if line.startswith("artifact"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(filled, target, stop)
    assert list(target.parent.iterdir()) == []


def test_authors_of_several_databases_come_back_to_as_many(
    filled: Settings,
    engine: sa.Engine,
    second: URL,
    new_settings: Callable[..., Settings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where one moves as the moments are taken that are backed up."""
    both = _with_shard(filled, second)
    postgres.prepare(both.addresses["two"])
    other = postgres.engine(postgres.databases(both.addresses["two"]))
    moments = databases._snapshot
    moved: list[int] = []

    def moves(url: URL) -> Any:
        if url == second and not moved:
            moved.append(move(both, "ada", "two", settle=0).rows)
        return moments(url)

    monkeypatch.setattr(databases, "_snapshot", moves)
    made = back_up(both, tmp_path / "backup")
    assert moved
    assert (int(made.tables["chunk"][0]), int(made.shards["two"]["chunk"][0])) == (4, 4)
    here = {category: Warehouse(other).chunks.hash("ada", category) for category in ("articles", "posts")}
    other.dispose()
    emptied(second)
    place = new_settings(blank=True)
    with pytest.raises(BackupError, match="authors in two; name an empty database for each in TWIN_SHARDS__TWO"):
        restore(place, tmp_path / "backup")
    assert restore(_with_shard(place, second), tmp_path / "backup") == made
    again = author_engine(_with_shard(place, second), "ada")
    assert {category: Warehouse(again).chunks.hash("ada", category) for category in here} == here
    assert Reports(again).get("r1") is not None
    postgres.engine(postgres.databases(both.addresses["two"])).dispose()


def _with_shard(settings: Settings, second: URL) -> Settings:
    address = SecretStr(second.render_as_string(hide_password=False))
    return settings.model_copy(update={"shards": {"two": address}})
