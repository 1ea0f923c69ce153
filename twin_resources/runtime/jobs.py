"""Starts jobs from a process that has their libraries loaded.

Importing transformers, PEFT and sentence-transformers takes longer than most jobs of a small author, and a graph has
eight of them. So the first job of a process starts a host (:mod:`.job_host`), which imports them once and forks itself
for every job. It ends with the process that started it, however that ends, and its jobs with it.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from twin_resources.runtime.job_host import WIDTH

LIBRARIES = ("torch", "sentence_transformers", "peft")
"""What jobs import and takes 10 s of a slow CPU; transformers comes with them."""
_ACCELERATORS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
_ROOT = Path(__file__).resolve().parents[2]
_LOST = -signal.SIGKILL


def can_fork() -> bool:
    """Whether jobs can be forked: the driver of an accelerator does not survive it, and only Linux reports the end of
    a process through a descriptor."""
    return sys.platform == "linux" and not any(Path(device).exists() for device in _ACCELERATORS)


def python_path() -> str:
    """``PYTHONPATH`` of a process that has to find this project as this one does."""
    return os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH", ""))))


@dataclass(frozen=True)
class Job:
    """A job that was started."""

    pid: int
    _answer: int
    """Descriptor that its exit status comes from."""

    def wait(self, seconds: float | None = None) -> int:
        """Its exit status, negative where a signal ended it; as if killed where its host was.

        Raises:
            TimeoutError: it has not ended in this time.
        """
        if not select.select([self._answer], [], [], seconds)[0]:
            raise TimeoutError(f"the job {self.pid} has not ended in {seconds:.0f} s")
        said = os.read(self._answer, WIDTH)
        os.close(self._answer)
        return int(said or _LOST)

    def interrupt(self) -> None:
        """Ask it to end, as Ctrl-C does."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGINT)


class JobHost:
    """The process that jobs are forked from; started by the first one, and again where it was killed.

    Args:
        libraries: what it imports before it forks.
    """

    def __init__(self, libraries: Sequence[str] = LIBRARIES) -> None:
        self._libraries = libraries
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._turn = threading.Lock()

    def start(self, module: str, environment: Mapping[str, str], source: int | None = None) -> Job:
        """Run ``python -m module`` in this environment, with the output and the folder of this process.

        Args:
            source: descriptor of its standard input, which is empty without one.

        Raises:
            ChildProcessError: the host ended before the job began.
        """
        request = json.dumps({"module": module, "folder": os.getcwd(), "environment": dict(environment)}).encode()
        answer, reply = os.pipe()
        with contextlib.ExitStack() as unless_started:
            unless_started.callback(os.close, answer)
            try:
                with open(os.devnull) as nothing, self._turn, contextlib.suppress(ConnectionError):
                    control = self._running(environment)
                    given = nothing.fileno() if source is None else source
                    socket.send_fds(control, [request], [given, 1, 2, reply])
            finally:
                os.close(reply)
            pid = os.read(answer, WIDTH)
            if not pid:
                with self._turn:
                    if self._control is control:
                        self.close()
                raise ChildProcessError(f"the process that starts jobs ended before {module} began")
            unless_started.pop_all()
        return Job(int(pid), answer)

    def close(self) -> None:
        """End the host, and with it every job of it."""
        if self._control and self._process:
            self._control.close()
            self._process.wait(10)
        self._control = self._process = None

    def _running(self, environment: Mapping[str, str]) -> socket.socket:
        if self._control and self._process and self._process.poll() is None:
            return self._control
        self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "twin_resources.runtime.job_host", str(theirs.fileno()), *self._libraries],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._control = ours
        return ours


HOST = JobHost()
"""The host of this process."""
atexit.register(HOST.close)
