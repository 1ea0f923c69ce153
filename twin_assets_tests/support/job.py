"""A job: says what it was started with, then does what ``JOB`` says."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping

from twin_resources.runtime.processes import end_with_parent


def say(told: bool | Mapping[str, object]) -> None:
    """Write a line at once, so that those of jobs that share an output never break one another."""
    os.write(1, f"{json.dumps(told)}\n".encode())


if __name__ == "__main__":
    end_with_parent()
    loaded = [name for name in ("torch",) if name in sys.modules]
    say({"pid": os.getpid(), "folder": os.getcwd(), "loaded": loaded})
    what = os.environ["JOB"]
    if what == "sleep":
        time.sleep(600)
    elif what == "compute":
        import torch

        torch.set_num_threads(2)
        square = torch.arange(160_000, dtype=torch.float32).reshape(400, 400)
        say(bool((square @ square.T).isfinite().all()))
    elif what == "fail":
        raise RuntimeError("no reason but to fail")
    sys.exit(int(os.environ.get("CODE", "0")))
