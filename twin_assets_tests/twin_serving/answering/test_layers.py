"""Answering can be used by anything, because it knows nothing of HTTP."""

from __future__ import annotations

import subprocess
import sys

from twin_serving.processes.servers import ROOT


def test_answering_loads_neither_the_api_nor_its_framework() -> None:
    names = sorted(path.stem for path in (ROOT / "twin_serving" / "answering").glob("*.py") if path.stem != "__init__")
    imports = "; ".join(f"import twin_serving.answering.{name}" for name in names)
    script = f"import sys; {imports}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not [name for name in loaded if name.split(".")[0] == "starlette" or name.startswith("twin_serving.api")]
