"""Checkpoints, and what stands beside them, of a training that may have been killed while it wrote one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_WHOLE = ("trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state*.pth")
_BASE = "base_fingerprint"


@contextmanager
def in_one_step(path: Path) -> Iterator[Path]:
    """A file to write, which is put in place of ``path`` at the end, so that half of it is never found."""
    staging = path.with_name(f"{path.name}.writing")
    yield staging
    os.replace(staging, path)


def newest_whole_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that was written completely; halves that a killed training left are removed."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]), reverse=True)
    for path in found:
        try:
            json.loads((path / "trainer_state.json").read_text())
        except (OSError, ValueError):
            shutil.rmtree(path)
            continue
        if all(any(path.glob(name)) for name in _WHOLE):
            return str(path)
        shutil.rmtree(path)
    return None


def forget_those_of_another_base(folder: Path, base: str) -> bool:
    """Note beside the checkpoints which base they are of, and remove them where they are of another one.

    Args:
        base: its fingerprint.

    Returns:
        Whether there were any to remove.
    """
    note = folder / _BASE
    known = note.read_text(encoding="utf-8") if note.exists() else base
    if known != base:
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    note.write_text(base, encoding="utf-8")
    return known != base
