"""Two writers for one author at once, in all pairs: nothing is lost and nothing doubled. ``ROUNDS=50`` tries longer."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml

from twin_assets import keys
from twin_assets.collect.read import read_platform
from twin_assets.definitions import defs
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.database.schema import document, document_version, metadata
from twin_resources.runtime.resources import Twin
from twin_resources.sources.base import RawDocument
from twin_resources.sources.opener import SourceOpener
from twin_serving.answering.intake import Intake

ROUNDS = int(os.environ.get("ROUNDS", "2"))
SITE = "https://ada.example"
WRITERS = ("import", "daemon", "api", "twin run")


class Desk:
    """An author whose documents come from a folder, an import and the API, some of them from several."""

    def __init__(self, twin: Twin, folder: Path) -> None:
        self.twin = twin
        self.notes, self.imported = folder / "notes", folder / "imported"
        self.sent: dict[str, str] = {}
        self.ever_sent: set[str] = set()
        for path in (self.notes, self.imported):
            path.mkdir()

    def write(self, number: int) -> set[str]:
        """What an author does between two rounds; returns the URLs that there are then, by any writer."""
        shared = {f"shared-{n}": f"# Shared {n}\n\nEverybody has this text, {n}." for n in range(6)}
        for name, text in shared.items():
            (self.notes / f"{name}.md").write_text(text)
            (self.imported / f"{name}.md").write_text(text)
        (self.notes / f"note-{number}.md").write_text(f"# Note {number}\n\nOnly in the folder, {number}.")
        (self.notes / "edited.md").write_text(f"# Edited\n\nThis is edition {number} of the note.")
        (self.imported / f"import-{number}.md").write_text(f"# Import {number}\n\nOnly imported, {number}.")
        self.sent = {f"{SITE}/{name}": text for name, text in shared.items()}
        self.sent[f"{SITE}/sent-{number}"] = f"# Sent {number}\n\nOnly sent to the API, {number}."
        self.ever_sent |= set(self.sent)
        return {f"{SITE}/{path.stem}" for path in (*self.notes.iterdir(), *self.imported.iterdir())} | self.ever_sent

    def act(self, writer: str) -> None:
        """One writer, as its command, run or route does it."""
        warehouse, settings = self.twin.warehouse, self.twin.settings
        author = self.twin.record_author("ada")
        if writer == "import":
            options = {"base_url": SITE}
            opened = SourceOpener.of(settings).open(author.author, "folder", str(self.imported), options)
            source_id = warehouse.remember_source("ada", opened, options, remembered=True)
            warehouse.read(SourceOpener.of(settings), "ada", source_id, opened)
        elif writer == "daemon":
            assert not read_platform(warehouse, settings, author, "folder", say=lambda _: None).failed
        elif writer == "api":
            documents = [RawDocument(url, "web", "articles", "text/markdown", text) for url, text in self.sent.items()]
            Intake(warehouse, settings).store("ada", dict(enumerate(documents)))
        else:
            job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection={keys.raw("folder")})
            with dg.DagsterInstance.ephemeral() as instance:
                instance.add_dynamic_partitions("author", ["ada"])
                done = job.execute_in_process(instance=instance, partition_key="ada", resources={"twin": self.twin})
            assert done.success

    def stored(self) -> list[sa.Row[tuple[str, int]]]:
        """URL and versions of every document that is there."""
        versions = sa.func.count(document_version.c.id)
        query = (
            sa.select(document.c.url, versions)
            .join(document_version, document_version.c.document_id == document.c.id)
            .where(document.c.gone_at.is_(None))
            .group_by(document.c.id, document.c.url)
        )
        with self.twin.engine.connect() as session:
            return list(session.execute(query))


@pytest.fixture(scope="module")
def database(new_settings: Callable[..., Settings]) -> Iterator[Settings]:
    settings = new_settings()
    engine = postgres.engine(postgres.prepare(settings.postgres))
    yield settings
    engine.dispose()


@pytest.fixture
def desk(database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    assert database.database_url
    monkeypatch.setenv("TWIN_DATABASE_URL", database.database_url.get_secret_value())
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TWIN_CONFIG", raising=False)
    source = {"folder": "notes", "base_url": SITE}
    config = {"authors": [{"id": "ada", "name": "Ada", "consent": "Written here. 2026-11-21", "sources": [source]}]}
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump(config))
    twin = Twin(config=str(tmp_path / "twin.yaml"))
    with twin.engine.begin() as session:
        session.execute(sa.text(f"TRUNCATE {', '.join(metadata.tables)} CASCADE"))
    return Desk(twin, tmp_path)


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations_with_replacement(WRITERS, 2)))
def test_two_writers_at_once_lose_and_double_nothing(desk: Desk, one: str, other: str) -> None:
    for number in range(ROUNDS):
        expected = desk.write(number)
        failed: list[BaseException] = []
        together = threading.Barrier(2)

        def act(writer: str, failed: list[BaseException] = failed, together: threading.Barrier = together) -> None:
            together.wait()
            try:
                desk.act(writer)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=act, args=(writer,)) for writer in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        for writer in sorted({*WRITERS} - {one, other} - ({"twin run"} if "daemon" in (one, other) else set())):
            desk.act(writer)
        stored = desk.stored()
        urls = [url for url, _ in stored]
        assert sorted(urls) == sorted(set(urls)), "doubled"
        assert set(urls) == expected
        versions = dict(tuple(row) for row in stored)
        assert versions[f"{SITE}/edited"] == number + 1, "one version for each edition"
        assert all(versions[url] == 1 for url in urls if "-" in url and "shared" not in url), versions
