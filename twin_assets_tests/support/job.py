"""A job: says what it was started with, then does what ``JOB`` says."""

from __future__ import annotations

import json
import os
import sys
import time

from twin_resources.runtime.processes import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    loaded = [name for name in ("torch",) if name in sys.modules]
    print(json.dumps({"pid": os.getpid(), "folder": os.getcwd(), "loaded": loaded}), flush=True)
    what = os.environ["JOB"]
    if what == "sleep":
        time.sleep(600)
    elif what == "compute":
        import torch

        torch.set_num_threads(2)
        square = torch.arange(160_000, dtype=torch.float32).reshape(400, 400)
        print((square @ square.T).isfinite().all().item(), flush=True)
    elif what == "fail":
        raise RuntimeError("no reason but to fail")
    sys.exit(int(os.environ.get("CODE", "0")))
