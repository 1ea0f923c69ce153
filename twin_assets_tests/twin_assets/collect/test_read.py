"""Several writers of one author at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
import sqlalchemy as sa

from twin_assets.collect.read import read_platform
from twin_resources.config.settings import Settings
from twin_resources.errors import SourceError
from twin_resources.sources.base import Item
from twin_resources.sources.folder import Folder
from twin_resources.sources.opener import SourceOpener
from twin_resources.storage.warehouse import Warehouse

ROUNDS = 12


@pytest.fixture
def warehouse(engine: sa.Engine, settings: Settings) -> Warehouse:
    found = Warehouse(engine)
    found.record_author(settings.author("ada"))
    return found


def write(folder: Path, name: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.md").write_text(f"# {name}\n\nSome words about {name}.", encoding="utf-8")


def import_(warehouse: Warehouse, settings: Settings, folder: Path) -> None:
    """What ``twin import`` does."""
    opened = Folder(str(folder), settings.author("ada").author)
    source_id = warehouse.remember_source("ada", opened, {}, remembered=True)
    warehouse.read(SourceOpener.of(settings), "ada", source_id, opened)


def together(*calls: Callable[[], object]) -> None:
    barrier = threading.Barrier(len(calls))

    def start(call: Callable[[], object]) -> object:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(start, call) for call in calls]:
            done.result()


def test_imports_while_the_daemon_reads_the_platform_lose_nothing(
    warehouse: Warehouse, settings: Settings, tmp_path: Path
) -> None:
    author = settings.author("ada")
    for number in range(ROUNDS):
        folder = tmp_path / f"notes-{number}"
        write(folder, f"n{number}")
        together(
            lambda folder=folder: import_(warehouse, settings, folder),
            lambda: read_platform(warehouse, settings, author, "folder", say=lambda _: None),
        )
        assert warehouse.documents.count("ada", "folder") == number + 1


class Listed(Folder):
    """A folder whose reading stops when it has seen every file, and goes on when it is let."""

    def __init__(self, folder: Path, author: str) -> None:
        super().__init__(str(folder), author)
        self.seen, self.let = threading.Event(), threading.Event()

    def read(self) -> Iterator[Item]:
        found = list(super().read())
        self.seen.set()
        assert self.let.wait(60)
        yield from found


def test_two_readings_of_one_growing_source_lose_nothing(
    warehouse: Warehouse, settings: Settings, tmp_path: Path
) -> None:
    author, folder = settings.author("ada").author, tmp_path / "notes"
    for number in range(6):
        write(folder, f"n{number}")
    first = Listed(folder, author)
    source_id = warehouse.remember_source("ada", first, {}, remembered=True)
    with ThreadPoolExecutor(2) as pool:
        started = pool.submit(warehouse.read, SourceOpener.of(settings), "ada", source_id, first)
        assert first.seen.wait(60)
        write(folder, "new")
        second = pool.submit(import_, warehouse, settings, folder)
        wait([second], timeout=0.5)
        first.let.set()
        started.result()
        second.result()
    assert warehouse.documents.count("ada", "folder") == 7


def test_a_source_that_is_dropped_while_it_is_read_says_so(
    warehouse: Warehouse, settings: Settings, tmp_path: Path
) -> None:
    write(tmp_path / "notes", "a")
    opened = Folder(str(tmp_path / "notes"), settings.author("ada").author)
    source_id = warehouse.remember_source("ada", opened, {}, remembered=True)
    warehouse.sources.drop("ada", source_id)
    with pytest.raises(SourceError, match="dropped while it was read"):
        warehouse.read(SourceOpener.of(settings), "ada", source_id, opened)
