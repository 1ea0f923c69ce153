"""SGLang as a server of ``twin up`` (section ``engine``): what would keep it from starting, and its process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from twin_resources.config.engine import EngineSettings
from twin_resources.config.settings import Settings, SettingsError
from twin_serving.processes.servers import LOOPBACK
from twin_serving.processes.sglang import EngineError, SglangProcess, model_of

VERSION = "0.5.23"
"""The SGLang whose options and calls ours were read in."""
_ASKED = "import importlib.metadata as m; print(m.version('sglang'))"
_ASK_SECONDS = 30.0
_DEVICES = ("nvidiactl", "nvidia0", "dxg", "kfd", "davinci_manager", "accel", "dri/renderD128")
"""What Linux shows in ``/dev`` of NVIDIA's GPUs (``dxg``: those of WSL) and other accelerators that SGLang knows."""
_HIDING = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")


def problems(wanted: EngineSettings) -> Iterator[str]:
    """What would keep SGLang from starting on this machine, as far as that can be known without starting it."""
    try:
        version_of(wanted.python)
    except EngineError as error:
        yield str(error)
    if wanted.gpus and wanted.device is None and (missing := _no_gpu()):
        yield (
            f"{missing}, and SGLang needs one; start it where there is one and name it in TWIN_ENGINE_URL, "
            "or name another device in engine.options, such as --device=cpu"
        )


def version_of(python: str) -> str:
    """The version of SGLang that an interpreter has.

    Raises:
        EngineError: none is named, it does not run, or has no SGLang.
    """
    if not python:
        raise EngineError(
            "--engine sglang needs an SGLang: name the address of one that runs in TWIN_ENGINE_URL, or the interpreter "
            "of the environment that has it in engine.python of twin.yaml (TWIN_ENGINE__PYTHON); "
            "docs/engines.md says how to make one"
        )
    found = shutil.which(python)
    if found is None:
        raise EngineError(f"engine.python names {python}, and there is no such program; see docs/engines.md")
    try:
        asked = subprocess.run(
            [found, "-c", _ASKED],
            capture_output=True,
            text=True,
            timeout=_ASK_SECONDS,
            check=False,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"engine.python names {found}, which does not run: {error}") from None
    if asked.returncode:
        said = (asked.stderr.strip().splitlines() or [f"exit code {asked.returncode}"])[-1]
        remedy = f"{found} -m pip install sglang=={VERSION}"
        raise EngineError(f"the interpreter {found} of engine.python has no SGLang ({said}); `{remedy}` installs it")
    return asked.stdout.strip()


def _no_gpu() -> str | None:
    """Why no GPU can be used here; None where one may be."""
    for name in _HIDING:
        if os.environ.get(name) in ("", "-1", "void", "none"):
            return f"{name}={os.environ[name]!r} hides every GPU"
    if sys.platform == "linux" and not any(Path("/dev", each).exists() for each in _DEVICES):
        return "there is no GPU on this machine (no device of one in /dev)"
    return None


def run(settings: Settings) -> NoReturn:
    """Start SGLang and stay as long as it is well; whoever started us starts us again.

    Raises:
        SettingsError: there is no key to ask it with.
        EngineError: it did not start, ended, or was not well any more.
    """
    if not settings.engine_secret:
        raise SettingsError("TWIN_ENGINE_KEY is not set; `twin up --engine sglang` makes one")
    wanted = settings.engine
    model = model_of(wanted, settings)
    signal.signal(signal.SIGTERM, _end)
    engine = SglangProcess(wanted, model, key=settings.engine_secret, host=LOOPBACK, port=settings.engine_port)
    try:
        engine.wait(wanted.start_minutes * 60)
        engine.watch(wanted.check_seconds)
    finally:
        engine.stop()


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
