"""``twin run`` of parts of the graph, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from twin_assets import run
from twin_resources.config.settings import Settings


def test_a_part_of_the_graph_can_be_asked_for_before_anything_was_collected(
    new_settings: Callable[..., Settings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = new_settings()
    assert settings.database_url
    ada = {"id": "ada", "name": "Ada Berg", "consent": "Written for this test. 2026-11-30"}
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump({"authors": [ada]}), encoding="utf-8")
    monkeypatch.setenv("TWIN_CONFIG", str(tmp_path / "twin.yaml"))
    monkeypatch.setenv("TWIN_HOME", str(tmp_path))
    monkeypatch.setenv("TWIN_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    assert run.main(["--select", 'key:"datasets/retrieval"']) == 0, capsys.readouterr().out


def test_what_is_told_between_two_looks_is_shown_in_full() -> None:
    progress = run.Progress(1)
    for said in ("trial 1 complete, validation loss 2.8\nand more", "trial 2 of 9; best so far 2.8 (trial 1)"):
        entry: Any = SimpleNamespace(dagster_event=None, level=20, user_message=said)
        progress.read(entry)
    assert progress.news() == ["trial 1 complete, validation loss 2.8", "trial 2 of 9; best so far 2.8 (trial 1)"]
    assert progress.news() == []
    assert progress.line.startswith("trial 2 of 9"), "a terminal shows the last one"
