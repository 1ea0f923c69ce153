"""A folder that nothing may run from in the end."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from twin_assets_tests.support.processes import alive

CONFIG = 'authors:\n  - {id: ada, name: Ada, consent: "These accounts are mine. 2026-11-21"}\n'


@pytest.fixture
def home() -> Iterator[Path]:
    """A short folder, because Postgres keeps its socket in it; nothing may run from it in the end."""
    with tempfile.TemporaryDirectory(prefix="twin-up-") as folder:
        (Path(folder) / "twin.yaml").write_text(CONFIG)
        yield Path(folder)
        left = alive(folder)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert left == {}
