"""What nothing refers to goes after a while, and everything else stays."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from twin_assets.definitions import defs
from twin_resources.config.settings import Settings
from twin_resources.forgetting.garbage import collect_garbage
from twin_resources.runtime.resources import Twin
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.datasets import Datasets
from twin_resources.storage.sources import Authors

WEEKS = 30 * 86400


def age(folder: Path) -> None:
    then = time.time() - WEEKS
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (then, then))


def test_only_what_is_old_and_without_a_row_goes(engine: sa.Engine, settings: Settings, tmp_path: Path) -> None:
    Authors(engine).record(settings.author("ada"))
    store, addresses = ArtifactStore.of(settings), {}
    for name in ("used", "lost", "fresh"):
        (tmp_path / "file.txt").write_text(name)
        addresses[name] = store.put("reports/generation" if name == "lost" else "datasets/instruct", tmp_path)
        if name != "fresh":
            age(store.folder(addresses[name]))
    Datasets(engine).add("d", "ada", "instruct", addresses["used"], {}, ())
    for name in ("abandoned", "running"):
        (settings.home / "training" / name).mkdir(parents=True)
        (settings.home / "training" / name / "checkpoint").write_text("x")
    age(settings.home / "training" / "abandoned")
    assert collect_garbage(settings, engine, dry=True).artifacts == [addresses["lost"]]
    assert store.exists(addresses["lost"]), "a dry run deletes nothing"
    found = collect_garbage(settings, engine)
    assert (found.artifacts, found.folders) == ([addresses["lost"]], ["training/abandoned"])
    assert [store.exists(addresses[name]) for name in ("used", "lost", "fresh")] == [True, False, True]
    assert (settings.home / "training" / "running").exists()
    assert collect_garbage(settings, engine, grace=timedelta(0)).artifacts == [addresses["fresh"]]


def test_the_daily_job_does_the_same(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert settings.database_url
    monkeypatch.setenv("TWIN_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))
    (tmp_path / "twin.yaml").write_text("authors: []\n")
    abandoned = tmp_path / "home" / "training" / "abandoned"
    abandoned.mkdir(parents=True)
    age(abandoned)
    job = defs.resolve_job_def("garbage")
    assert job.execute_in_process(resources={"twin": Twin(config=str(tmp_path / "twin.yaml"))}).success
    assert not abandoned.exists()
