"""An asset that has no torch gets its vectors from a process beside it, which leaves nothing behind."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from twin_assets.embed.beside import encoding
from twin_resources.retrieval.embedder import Embedder
from twin_resources.runtime import jobs

TEXTS = ["Boats need ropes.", "A rope that is wet is heavier than one that is dry.", "Boats need ropes."]

pytestmark = pytest.mark.skipif(not jobs.can_fork(), reason="jobs of this machine are not forked")


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has not loaded the libraries."""
    monkeypatch.delitem(sys.modules, "sentence_transformers", raising=False)


def beside() -> set[psutil.Process]:
    host = jobs.HOST._process
    return set(psutil.Process(host.pid).children()) if host else set()


def test_they_are_those_of_the_model_and_the_process_ends(shallow: Path, unloaded: None) -> None:
    before = beside()
    with encoding("shallow", shallow) as encode:
        assert beside() == before, "nothing is loaded before there is a text"
        first, again = encode(TEXTS), encode(TEXTS[1:])
        assert len(beside() - before) == 1
        assert "sentence_transformers" not in sys.modules
    assert beside() == before
    model = Embedder("shallow", shallow)
    np.testing.assert_array_equal(first, model.encode(TEXTS))
    np.testing.assert_array_equal(again, model.encode(TEXTS[1:]))


def test_one_that_was_killed_is_told_of(shallow: Path, unloaded: None) -> None:
    before = beside()
    with encoding("shallow", shallow) as encode:
        encode(TEXTS)
        (process,) = beside() - before
        process.kill()
        with pytest.raises(ChildProcessError, match="what embeds by shallow ended"):
            encode(TEXTS)
    assert beside() == before
