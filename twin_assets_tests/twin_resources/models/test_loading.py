"""What a library makes while it is imported is not looked through for garbage, and what it hardly ever needs waits."""

from __future__ import annotations

import gc
import sys
import threading
from pathlib import Path

import pytest
import torch

from twin_resources.models.loading import sparingly, uncollected

NAME = "a_library_of_the_tests"
SPARED = """
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import pairwise_distances

@torch.compile(backend="eager")
def doubled(number):
    return 2 * number

class Linear(torch.nn.Linear):
    pass

MODULE = torch.compile(Linear(1, 1), backend="eager")
"""


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


@pytest.fixture
def spared(library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / f"{NAME}.py").write_text(SPARED)
    for name in ("scipy.optimize", "sklearn.metrics"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return library


def test_what_is_hardly_ever_called_is_loaded_when_it_is(spared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compiles = torch.compile

    def watched(model: object, **options: object) -> object:
        compiled.append(type(model).__name__)
        return compiles(model, **options)  # pyright: ignore[reportCallIssue,reportArgumentType]

    monkeypatch.setattr(torch, "compile", watched)
    with sparingly():
        found = __import__(spared)
    assert torch.compile is watched
    assert compiled == ["Linear"], "a module is compiled as ever"
    assert isinstance(found.MODULE, torch.nn.Module)
    assert not {"scipy.optimize", "sklearn.metrics"} & set(sys.modules)
    assert found.doubled(torch.tensor(2)) == 4
    assert found.doubled(torch.tensor(3)) == 6
    assert compiled == ["Linear", "function"]
    assert found.pairwise_distances([[0.0, 3.0]], [[4.0, 0.0]]).tolist() == [[5.0]]
    assert [list(each) for each in found.linear_sum_assignment([[1.0, 0.0], [0.0, 1.0]])] == [[0, 1], [1, 0]]


def test_who_wants_more_of_what_waits_has_it_at_once(spared: str) -> None:
    with sparingly():
        import scipy.optimize
        from sklearn.metrics import DistanceMetric

        assert isinstance(DistanceMetric, type)
        assert isinstance(scipy.optimize.OptimizeResult, type)
        __import__(spared)
    assert sys.modules["sklearn.metrics"].DistanceMetric is DistanceMetric


def test_threads_that_import_at_once_leave_everything_as_it_was(spared: str) -> None:
    compiles, inside, leave = torch.compile, threading.Event(), threading.Event()

    def first() -> None:
        with sparingly():
            inside.set()
            leave.wait(20)

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(20)
    with sparingly():
        leave.set()
        thread.join()
        assert torch.compile is not compiles
        __import__(spared)
    assert torch.compile is compiles
    assert not {"scipy.optimize", "sklearn.metrics"} & set(sys.modules)
