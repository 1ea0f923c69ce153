"""The training of :mod:`.training` as a job of a group; it reports what was learned, and on which nodes."""

from __future__ import annotations

from pathlib import Path

import psutil
from dagster_pipes import open_dagster_pipes

from twin_assets.train.backends.group import Group
from twin_assets.train.backends.peft import PeftBackend
from twin_assets.train.job import Unheard
from twin_assets_tests.support.training import Seen, task, validated
from twin_resources.runtime.processes import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    group = Group.here()
    with open_dagster_pipes(message_writer=None if group.first else Unheard()) as pipes:
        folder = Path(pipes.get_extra("folder"))
        seen, made = Seen(), task(Path(pipes.get_extra("base")), folder / "checkpoints")
        trained = PeftBackend(group).train(group.share_of(made), seen)
        (raylet,) = (each.pid for each in psutil.Process().parents() if each.name() == "raylet")
        (folder / f"rank-{group.rank}").write_text(str(raylet), encoding="utf-8")
        group.any(True)  # all have written
        if group.first:
            nodes = [each.read_text("utf-8") for each in folder.glob("rank-*")]
            pipes.report_custom_message({"validated": validated(trained), "lines": seen.lines, "nodes": nodes})
