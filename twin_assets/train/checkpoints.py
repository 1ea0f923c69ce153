"""Checkpoints of a training that may have been killed while it wrote one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

_WHOLE = ("trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state.pth")


def newest_whole_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that was written completely; halves that a killed training left are removed."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]), reverse=True)
    for path in found:
        try:
            json.loads((path / "trainer_state.json").read_text())
        except (OSError, ValueError):
            shutil.rmtree(path)
            continue
        if all((path / name).exists() for name in _WHOLE):
            return str(path)
        shutil.rmtree(path)
    return None
