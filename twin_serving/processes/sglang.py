"""SGLang as a process of ours: its command, its environment, whether it is well, and its end.

SGLang lives in an environment of its own, whose interpreter the settings name; nothing of it is imported here.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from twin_resources.config.ray import RayEngineSettings
from twin_resources.errors import TwinError
from twin_serving.processes import guard
from twin_serving.processes.servers import ROOT

_LOOK_SECONDS = 0.2
_ANSWER_SECONDS = 20.0
"""So long SGLang itself waits for the token that its health is judged by."""


class EngineError(TwinError):
    """SGLang did not start or is not well any more."""


def command(wanted: RayEngineSettings, model: str, *, host: str, port: int, secrets: Path) -> tuple[str, ...]:
    """SGLang as it has to be for adapters that come and go; what ``options`` repeats has the last word.

    Args:
        secrets: a file of more options. The key is in it, since everybody on a machine may read command lines.
    """
    return (
        *(wanted.python, "-m", "sglang.launch_server", "--config", str(secrets)),
        *(f"--model-path={model}", f"--host={host}", f"--port={port}"),
        *([f"--tp-size={wanted.gpus}"] if wanted.gpus > 1 else []),
        *("--enable-lora", "--max-lora-rank=64", "--lora-target-modules=all", "--enable-metrics"),
        *wanted.options,
    )


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """What SGLang gets of our environment, such as GPUs and caches, not our variables, which hold secrets, or Ray's."""
    return {name: value for name, value in given.items() if not name.startswith(("TWIN_", "RAY_"))}


class SglangProcess:
    """An SGLang that runs until :meth:`stop`, or until the process that made it is gone, however that ended.

    Ray kills the children of a worker that it ends, and with them a guard, whose charge would go on alone. So the child
    here is a shell, and the guard below it ends SGLang and all that it started when shell or pipe are gone.

    Args:
        model: what SGLang loads.
        key: what it is asked with.
        host: the address it listens on; the port is a free one.
    """

    def __init__(self, wanted: RayEngineSettings, model: str, *, key: str, host: str) -> None:
        port = _free_port(host)
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self._folder = tempfile.TemporaryDirectory(prefix="twin-engine-", ignore_cleanup_errors=True)
        secrets = Path(self._folder.name) / "secrets.yaml"
        secrets.touch(mode=0o600)
        secrets.write_text(f"api-key: {json.dumps(key)}\n", encoding="utf-8")
        told = command(wanted, model, host=host, port=port, secrets=secrets)
        guarded = (sys.executable, "-m", guard.__name__, "env", "-u", "PYTHONPATH", *told)
        self._process = subprocess.Popen(
            ("sh", "-c", '"$@"; exit $?', "sh", *guarded),
            stdin=subprocess.PIPE,
            cwd=self._folder.name,  # python -m looks for modules there first
            env={**environment(os.environ), "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
        self._client = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {key}"}, timeout=_ANSWER_SECONDS + 2, trust_env=False
        )

    def wait(self, seconds: float) -> None:
        """Until it answers.

        Raises:
            EngineError: it ended, or took longer.
        """
        deadline = time.monotonic() + seconds
        while problem := self.problem():
            if not self.alive or time.monotonic() > deadline:
                raise EngineError(f"SGLang did not start: {problem}", "see what it wrote in the log of this process")
            time.sleep(_LOOK_SECONDS)

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process.poll() is None

    def problem(self) -> str | None:
        """Why it cannot answer, or None."""
        if not self.alive:
            return f"it ended with exit code {self._process.returncode}"
        try:
            response = self._client.get("/health_generate")
        except httpx.HTTPError as error:
            return f"{self.url} cannot be reached: {str(error) or type(error).__name__}"
        return None if response.status_code == 200 else f"{self.url} answered {response.status_code}"

    def ongoing(self) -> int:
        """Answers that it writes or that wait in it, for whomever.

        Raises:
            EngineError: it does not say.
        """
        try:
            response = self._client.get("/v1/loads", params={"include": "core"}).raise_for_status()
            return sum(
                int(each["num_running_reqs"]) + int(each["num_waiting_reqs"]) for each in response.json()["loads"]
            )
        except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
            raise EngineError(f"{self.url}/v1/loads does not say how many answers are under way: {error!r}") from error

    def drain(self, least: float, most: float) -> None:
        """Wait until nothing is under way, so many seconds at least and at most."""
        begun = time.monotonic()
        while self.alive and (passed := time.monotonic() - begun) < max(least, most):
            try:
                if passed >= least and not self.ongoing():
                    return
            except EngineError:
                return
            time.sleep(_LOOK_SECONDS)

    def stop(self) -> None:
        """End it with everything it started. Safe to repeat."""
        if self._process.stdin:
            self._process.stdin.close()  # the guard sees that, and has its own time limit
        self._process.wait(guard.GRACE + 4)
        self._client.close()
        self._folder.cleanup()


def _free_port(host: str) -> int:
    """One that nobody has now; whoever takes it first makes SGLang end, and another start takes another."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]
