"""Fixtures of datasets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from twin_assets_tests.support import essays
from twin_assets_tests.support.world import World
from twin_resources.config.settings import Settings
from twin_resources.runtime.resources import Twin

ESSAYS = 26


@pytest.fixture
def world(new_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    settings = new_settings()
    assert settings.database_url
    monkeypatch.setenv("TWIN_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))
    # what essays of chance say in other words is not looked for: embedding them again for each version takes minutes
    monkeypatch.setattr("twin_assets.dataset.assets._embedding", lambda _: None)
    author = {"id": "ada", "name": "Ada Berg", "consent": "Written for this test. 2026-11-21"}
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump({"authors": [author]}))
    twin = Twin(config=str(tmp_path / "twin.yaml"))
    twin.record_author("ada")
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("author", ["ada"])
        yield World(twin, instance, {number: essays.essay(number) for number in range(ESSAYS)})
