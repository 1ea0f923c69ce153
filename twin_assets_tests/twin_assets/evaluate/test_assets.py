"""Which adapters are measured on an author's text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from twin_assets.evaluate.assets import rivals_of
from twin_resources.config.settings import Settings
from twin_resources.runtime.resources import Twin
from twin_resources.storage.releases import Adapter


def speaks(twin: Twin, author: str, base: str) -> str:
    """An adapter that answers for an author; its version."""
    version = f"{author}-{base}"
    twin.datasets.add(f"data-{author}", author, "instruct", "datasets/data", {}, ())
    row: dict[str, Any] = {"id": version, "author": author, "version": version, "kind": "sft", "base": base}
    row |= {"dataset_id": f"data-{author}", "artifact": "", "parameters": {}, "metrics": {}, "tracking_run": None}
    twin.releases.add_adapter(Adapter(**row))
    twin.reports.add(f"gate-{version}", author, "gate", version, {"passed": True, "failed": []}, "")
    twin.releases.approve(version, by="tester")
    return version


def test_what_answers_for_others_over_the_same_base_is_tried(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.database_url
    monkeypatch.setenv("TWIN_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("TWIN_HOME", str(tmp_path))
    consent = "Written for this test. 2026-11-21"
    authors = [{"id": name, "name": name.title(), "consent": consent} for name in ("ada", "bo", "cy", "di")]
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump({"authors": authors, "evaluation": {"rivals": 1}}))
    twin = Twin(config=str(tmp_path / "twin.yaml"))
    for author in authors:
        twin.record_author(author["id"])
    speaks(twin, "ada", "small")
    speaks(twin, "bo", "large")
    wanted = speaks(twin, "cy", "small")
    assert [each.version for each in rivals_of(twin, "ada", "small")] == [wanted]
    speaks(twin, "di", "small")
    assert [each.version for each in rivals_of(twin, "ada", "small")] == [wanted], "no more than the settings allow"
    assert rivals_of(twin, "ada", "none") == []
