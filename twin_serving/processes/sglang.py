"""SGLang as a process of ours: its command, its environment, whether it is well, and its end.

SGLang lives in an environment of its own, whose interpreter the settings name; nothing of it is imported here. When it
starts it writes all its options down, its key among them, so what it writes goes through this process, without the key.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, NoReturn

import httpx

from twin_resources.config.engine import EngineSettings
from twin_resources.config.settings import Settings
from twin_resources.errors import TwinError
from twin_resources.generation.openai import LOOK_SECONDS
from twin_resources.models import hub
from twin_resources.rag import prompt
from twin_serving.processes import guard
from twin_serving.processes.servers import ROOT

_LOOK_SECONDS = 0.2
_TEMPLATES = ("chat_template.jinja", "chat_template.json", "additional_chat_templates")
_LAST_LINES = 15
_BAD_LOOKS = 3


class EngineError(TwinError):
    """SGLang did not start or is not well any more."""


def model_of(wanted: EngineSettings, settings: Settings) -> str:
    """What an engine loads: the model that its section names, else the folder of the configured base.

    Raises:
        ModelNotFound: the base is nowhere to be had.
    """
    return wanted.model or str(hub.resolve(settings.models.base, settings))


def command(wanted: EngineSettings, model: str, *, host: str, port: int, folder: Path) -> tuple[str, ...]:
    """SGLang as it has to be for adapters that come and go; what ``options`` repeats has the last word.

    Args:
        folder: has ``secrets.yaml``, a file of more options. The key is in it, since everybody on a machine may read
            command lines. A chat template for a model without one is written there.
    """
    template = folder / "plain.jinja"
    if plain := _has_no_template(Path(model)):
        template.write_text(prompt.SERVED_TEMPLATE, encoding="utf-8")
    secrets = folder / "secrets.yaml"
    return (
        *(wanted.python, "-m", "sglang.launch_server", "--config", str(secrets)),
        *(f"--model-path={model}", f"--host={host}", f"--port={port}"),
        *([f"--tp-size={wanted.tensor_parallel}"] if wanted.tensor_parallel > 1 else []),
        *([f"--chat-template={template}"] if plain else []),
        *("--enable-lora", "--max-lora-rank=64", "--lora-target-modules=all", "--enable-metrics"),
        *wanted.options,
    )


def _has_no_template(model: Path) -> bool:
    """Whether a model's folder has no chat template; what is no folder is looked at by SGLang alone."""
    if not (model / "config.json").exists() or any((model / each).exists() for each in _TEMPLATES):
        return False
    try:
        told = json.loads((model / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return not told.get("chat_template")


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
        host: the address it listens on.
        port: where; by default a free one.
    """

    def __init__(self, wanted: EngineSettings, model: str, *, key: str, host: str, port: int | None = None) -> None:
        port = port or _free_port(host)
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self._folder = tempfile.TemporaryDirectory(prefix="twin-engine-", ignore_cleanup_errors=True)
        secrets = Path(self._folder.name) / "secrets.yaml"
        secrets.touch(mode=0o600)
        secrets.write_text(f"api-key: {json.dumps(key)}\n", encoding="utf-8")
        told = command(wanted, model, host=host, port=port, folder=secrets.parent)
        guarded = (sys.executable, "-m", guard.__name__, "env", "-u", "PYTHONPATH", *told)
        self._process = subprocess.Popen(
            ("sh", "-c", '"$@"; exit $?', "sh", *guarded),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            cwd=self._folder.name,  # python -m looks for modules there first
            env={**environment(os.environ), "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        assert self._process.stdout
        self._relay = threading.Thread(target=self._pass_on, args=(self._process.stdout, key), daemon=True)
        self._relay.start()
        self._client = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {key}"}, timeout=LOOK_SECONDS, trust_env=False
        )

    def wait(self, seconds: float) -> None:
        """Until it answers.

        Raises:
            EngineError: it ended, or took longer.
        """
        deadline = time.monotonic() + seconds
        while problem := self.problem():
            if not self.alive or time.monotonic() > deadline:
                if not self.alive:
                    self._relay.join(_LOOK_SECONDS * 5)
                raise EngineError(f"SGLang did not start: {problem}{self._last_words()}")
            time.sleep(_LOOK_SECONDS)

    def watch(self, seconds: float) -> NoReturn:
        """Stay as long as it is well.

        Args:
            seconds: between two looks.

        Raises:
            EngineError: it ended, or was found not to be well three times in a row.
        """
        bad = 0
        while bad < _BAD_LOOKS:
            deadline = time.monotonic() + seconds
            while self.alive and time.monotonic() < deadline:
                time.sleep(_LOOK_SECONDS)
            problem = self.problem()
            if not self.alive:
                raise EngineError(f"SGLang is gone: {problem}")
            bad = bad + 1 if problem else 0
        raise EngineError(f"SGLang is not well, and is ended: {problem}")

    @property
    def last_lines(self) -> list[str]:
        """What it wrote last, without its key."""
        return list(self._last)

    def _last_words(self) -> str:
        return "".join(f"\n  | {line}" for line in self.last_lines) or "; it wrote nothing"

    def _pass_on(self, written: IO[str], key: str) -> None:
        """Write what SGLang writes, without its key in any of the ways it may be quoted."""
        hidden = sorted({key, repr(key)[1:-1], json.dumps(key)[1:-1]}, key=len, reverse=True)
        with written:
            for line in written:
                for each in hidden:
                    line = line.replace(each, "***")
                self._last.append(line.rstrip())
                with contextlib.suppress(OSError, ValueError):  # nobody may read us, which must not keep SGLang waiting
                    sys.stderr.write(line)
                    sys.stderr.flush()

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
        self._relay.join(guard.GRACE)
        self._client.close()
        self._folder.cleanup()


def _free_port(host: str) -> int:
    """One that nobody has now; whoever takes it first makes SGLang end, and another start takes another."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]
