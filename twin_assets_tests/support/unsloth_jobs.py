"""Training jobs, one after another in this process, as Dagster Pipes starts them: ``python -m`` with, for each, a
file of its extras. MLflow and the database are left out. Each leaves what it told beside its extras, in
``<name>.told``.

The extra ``asked_at`` names a step at which the job is asked to end.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

import dagster_pipes

from twin_resources.database import shards
from twin_resources.runtime import tracking
from twin_resources.storage.training import pace


class _Quiet:
    """MLflow, as far as a job speaks to it."""

    asked_at = -1

    def __init__(self, *_: Any) -> None:
        pass

    def start(self, *_: Any) -> str:
        return "run"

    def metric(self, run_id: str, name: str, value: float, step: int = 0) -> None:
        if name == "loss" and step == self.asked_at:
            os.kill(os.getpid(), signal.SIGTERM)

    def table(self, run_id: str, name: str, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def finish(self, *_: Any) -> None:
        pass

    def experiment(self, author: str) -> str:
        return author


def _job(file: Path) -> dict[str, Any]:
    """Run one; returns its exit code and the messages that it sent."""
    extras, messages = json.loads(file.read_text("utf-8")), file.with_suffix(".messages")
    given = file.with_suffix(".context")
    given.write_text(json.dumps({"extras": extras}), encoding="utf-8")
    os.environ[dagster_pipes.DAGSTER_PIPES_CONTEXT_ENV_VAR] = dagster_pipes.encode_param({"path": str(given)})
    os.environ[dagster_pipes.DAGSTER_PIPES_MESSAGES_ENV_VAR] = dagster_pipes.encode_param({"path": str(messages)})
    _Quiet.asked_at = extras.get("asked_at", -1)
    dagster_pipes.PipesContext._instance = None
    code: Any = 0
    try:
        runpy.run_module("twin_assets.train.job", run_name="__main__")
    except SystemExit as ended:
        code = ended.code
    lines = [json.loads(line) for line in messages.read_text("utf-8").splitlines()]
    logged = [each["params"]["message"] for each in lines if each["method"] == "log"]
    reported = [each["params"]["payload"] for each in lines if each["method"] == "report_custom_message"]
    return {"code": code, "lines": logged, "reported": reported}


if __name__ == "__main__":
    tracking.Tracking = _Quiet  # type: ignore[misc]
    shards.author_engine = lambda *_: None  # type: ignore[assignment]
    pace.pasts = lambda *_: []  # type: ignore[assignment]
    for argument in sys.argv[1:]:
        told = _job(Path(argument))
        Path(argument).with_suffix(".told").write_text(json.dumps(told), encoding="utf-8")
