"""SGLang as a process of ours, on a program that takes SGLang's options."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from twin_assets_tests.support import sglang_server
from twin_assets_tests.support.processes import alive, within
from twin_resources.config.ray import RayEngineSettings
from twin_serving.processes.sglang import EngineError, SglangProcess

KEY = "of-these-tests: 0123456789"


def wanted(folder: Path, *options: str) -> RayEngineSettings:
    python = str(sglang_server.interpreter(folder))
    return RayEngineSettings.model_validate({"replicas": 1, "python": python, "options": options})


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SglangProcess]:
    monkeypatch.setenv("TWIN_DATABASE_URL", "postgresql://nobody")
    found = SglangProcess(wanted(tmp_path), "tiny", key=KEY, host="127.0.0.1")
    try:
        found.wait(60)
        yield found
    finally:
        found.stop()


def test_an_engine_answers_who_has_its_key_and_leaves_nothing(engine: SglangProcess, tmp_path: Path) -> None:
    assert engine.ongoing() == 0
    body = {"lora_name": "v1", "lora_path": "/nowhere"}
    assert httpx.post(f"{engine.url}/load_lora_adapter", json=body, trust_env=False).status_code == 401
    running = alive(tmp_path)
    assert any("sleep" in each for each in running.values()), "what it started is among them"
    assert not [each for pid in running if KEY in (each := " ".join(psutil.Process(pid).cmdline()))]
    engine.drain(0, 60)
    engine.stop()
    assert not alive(tmp_path)
    assert engine.problem() == "it ended with exit code 143"


def test_an_engine_ends_with_what_started_it(engine: SglangProcess, tmp_path: Path) -> None:
    """As Ray does it: the children of a worker that it ends are killed, and theirs are not."""
    (child,) = [each for each in psutil.Process().children() if each.name() == "sh"]
    os.kill(child.pid, signal.SIGKILL)
    assert within(30, lambda: not alive(tmp_path)), alive(tmp_path)
    assert engine.problem() == "it ended with exit code -9"


def test_an_engine_that_does_not_start_says_so(tmp_path: Path) -> None:
    found = SglangProcess(wanted(tmp_path, "--no-such-option"), "tiny", key=KEY, host="127.0.0.1")
    with pytest.raises(EngineError, match="SGLang did not start: it ended with exit code 2; see what it wrote"):
        found.wait(60)
    found.stop()
    assert not alive(tmp_path)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"options": ["--host=0.0.0.0"]}, "--host is set by"),
        ({"options": ["--dp-size", "2"]}, "ask for more `replicas`"),
        ({"max_replicas": 2}, "has to be 1 to max_replicas"),
        ({"replicas": 3, "max_replicas": 2}, "has to be 1 to max_replicas"),
    ],
)
def test_settings_that_no_engine_can_follow_are_refused(changed: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        RayEngineSettings.model_validate(changed)
