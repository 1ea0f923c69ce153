"""What a library makes while it is imported is not looked through for garbage, then or later."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

from twin_resources.models.loading import uncollected

NAME = "a_library_of_the_tests"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / f"{NAME}.py").write_text("import gc\nSAW = gc.isenabled()\nKEPT = [[] for _ in range(1000)]\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    return NAME


def test_what_an_import_makes_stays_out_of_the_collectors_way(library: str) -> None:
    assert gc.isenabled()
    before = gc.get_freeze_count()
    with uncollected():
        found = __import__(library)
    assert found.SAW is False
    assert gc.isenabled()
    assert gc.get_freeze_count() > before + 1000
    gc.collect()


def test_nothing_is_kept_where_nothing_was_imported(library: str) -> None:
    with uncollected():
        __import__(library)
    before = gc.get_freeze_count()
    more = [[] for _ in range(1000)]
    with uncollected():
        __import__(library)
    assert gc.get_freeze_count() <= before
    assert len(more) == 1000
