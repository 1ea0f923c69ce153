"""A guard ends what it guards, and costs little."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from twin_assets_tests.support.processes import alive
from twin_serving.processes import guard
from twin_serving.processes.servers import ROOT


def test_what_ignores_term_is_killed(home: Path) -> None:
    stubborn = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)"
    )
    guarded = subprocess.Popen(
        [sys.executable, "-m", "twin_serving.processes.guard", sys.executable, "-c", stubborn, str(home)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with guarded:
        assert guarded.stdout is not None
        guarded.stdout.readline()
        guarded.terminate()
        assert guarded.wait(guard.GRACE + 3) == 128 + signal.SIGKILL
    assert alive(home) == {}


def start(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "twin_serving.processes.guard", *command],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_guard_hands_back_the_exit_code_and_needs_a_command() -> None:
    with start(sys.executable, "-c", "import sys; sys.exit(7)") as guarded:
        assert guarded.wait(10) == 7
    with start() as nothing:
        assert nothing.wait(10) == 2
        assert nothing.stderr is not None
        assert b"usage: python -m twin_serving.processes.guard" in nothing.stderr.read()


def test_a_command_ends_when_the_pipe_of_its_guard_closes(home: Path) -> None:
    with start(sys.executable, "-c", "print('up', flush=True); import time; time.sleep(600)", str(home)) as guarded:
        assert guarded.stdout is not None
        assert guarded.stdin is not None
        guarded.stdout.readline()
        guarded.stdin.close()
        assert guarded.wait(guard.GRACE + 3) == 128 + signal.SIGTERM
    assert alive(home) == {}


def test_what_waits_for_the_end_runs_only_when_it_was_not_dismissed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", "import pathlib, sys; pathlib.Path(sys.argv[1]).touch()", str(home / "ran")]
    with start("--at-end", *command) as dismissed:
        dismissed.communicate(b".", timeout=10)
    assert (dismissed.returncode, (home / "ran").exists()) == (0, False)
    with start("--at-end", *command) as alone:
        alone.communicate(timeout=guard.GRACE + 10)
    assert (alone.returncode, (home / "ran").exists()) == (0, True)


def test_a_guard_imports_nothing_but_the_standard_library() -> None:
    script = "import sys, twin_serving.processes.guard; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    roots = {name.split(".")[0] for name in done.stdout.split()}
    assert roots - {"__main__", "twin_resources", "twin_serving"} <= sys.stdlib_module_names
