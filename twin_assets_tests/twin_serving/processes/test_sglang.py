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
from twin_assets_tests.support.tiny_models import TinyModels
from twin_resources.config.engine import EngineSettings
from twin_resources.config.ray import RayEngineSettings
from twin_resources.config.settings import Settings
from twin_resources.generation.base import GeneratorError, NotLoaded
from twin_resources.generation.openai import OpenAIGenerator
from twin_serving.processes.sglang import EngineError, SglangProcess, command

KEY = "of-these-tests: '0123456789'"
TURNS = ({"role": "user", "content": "Go on."},)


def wanted(folder: Path, *options: str) -> EngineSettings:
    return EngineSettings.model_validate({"python": str(sglang_server.interpreter(folder)), "options": options})


def say(generator: OpenAIGenerator, version: str | None) -> set[str]:
    asked = generator.stream(TURNS, version=version, max_tokens=8, temperature=0.0, seed=None)
    return set(asked.finish().text.split())


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


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("--no-such-option", r"(?s)ended with exit code 2.*\| .*unrecognized arguments: --no-such-option"),
        ("--max-lora-rank=", r"(?s)ended with exit code 1.*\| .*you need to specify both --max-lora-rank and"),
    ],
)
def test_an_engine_that_does_not_start_says_so_in_its_own_words(tmp_path: Path, option: str, why: str) -> None:
    found = SglangProcess(wanted(tmp_path, option), "tiny", key=KEY, host="127.0.0.1")
    with pytest.raises(EngineError, match=why):
        found.wait(60)
    found.stop()
    assert not alive(tmp_path)


def test_an_engine_is_ready_with_its_first_token_and_its_key_is_in_no_log(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = SglangProcess(wanted(tmp_path), "tiny", key=KEY, host="127.0.0.1")
    try:
        problems = {found.problem() for _ in iter(lambda: found.problem() is None, True)}
        assert f"{found.url} answered 503" in problems, "it listens before it can write"
        assert "sglang:" in httpx.get(f"{found.url}/metrics", trust_env=False).text
    finally:
        found.stop()
    written = capsys.readouterr().err
    assert "'api_key': \"***\"" in written, written
    assert "0123456789" not in written


def test_adapters_are_asked_for_so_that_neither_the_base_nor_an_old_one_answers(
    engine: SglangProcess, tmp_path: Path
) -> None:
    generator = OpenAIGenerator("tiny", engine.url, key=KEY)
    generator.load("ada-1", tmp_path)
    assert (say(generator, "ada-1"), say(generator, None)) == ({"ada-1"}, {"word"})
    assert generator.listed().adapters == ("ada-1",)
    generator.unload("ada-1")
    with pytest.raises(NotLoaded):
        say(generator, "ada-1")
    [asked] = sglang_server.journal(tmp_path).values()
    assert asked == [("load", "ada-1"), ("answer", "ada-1"), ("answer", "base"), ("unload", "ada-1")]
    generator.close()
    for model in ("ada-1", "served:ada-1"):  # what would have come of asking otherwise
        body = {"model": model, "messages": TURNS, "stream": True}
        sent = {"json": body, "headers": {"Authorization": f"Bearer {KEY}"}, "trust_env": False}
        assert httpx.post(f"{engine.url}/v1/chat/completions", **sent).status_code == 200
    [asked] = sglang_server.journal(tmp_path).values()
    assert asked[4:] == [("answer", "base"), ("reload", "ada-1"), ("answer", "ada-1")]


def test_an_engine_with_data_parallel_replicas_loads_no_adapter_and_that_is_said(tmp_path: Path) -> None:
    python = str(sglang_server.interpreter(tmp_path))
    parallel = EngineSettings.model_construct(python=python, options=("--dp-size=2",), gpus=1)
    found = SglangProcess(parallel, "tiny", key=KEY, host="127.0.0.1")
    generator = OpenAIGenerator("tiny", found.url, key=KEY)
    try:
        found.wait(60)
        with pytest.raises(GeneratorError, match=r"Internal Server Error.*no data parallelism \(--dp-size\)"):
            generator.load("ada-1", tmp_path)
    finally:
        generator.close()
        found.stop()


def test_a_model_without_a_chat_template_gets_that_of_our_prompts(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for name, told in (("config.json", "{}"), ("tokenizer_config.json", '{"bos_token": "<s>"}')):
        (model / name).write_text(told)
    settings = EngineSettings.model_validate({"gpus": 4, "options": ["--pp-size", "2"]})

    def flags() -> dict[str, str]:
        told = command(settings, str(model), host="::1", port=1, folder=tmp_path)
        return dict(each.split("=", 1) for each in told if "=" in each)

    assert flags()["--tp-size"] == "2"
    assert "### Answer" in Path(flags()["--chat-template"]).read_text()
    (model / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    assert "--chat-template" not in flags()


def test_a_real_sglang_serves_the_base_and_an_adapter(request: pytest.FixtureRequest) -> None:
    """On a machine that SGLang runs on: TWIN_ENGINE__PYTHON is its interpreter; TWIN_ENGINE__MODEL and
    TWIN_TEST_ADAPTER, a LoRA over it, may name larger ones than the tiny ones of the tests."""
    found = Settings().engine
    if not found.python:
        pytest.skip("no SGLang: name the interpreter that has one in TWIN_ENGINE__PYTHON to try it")
    tiny: TinyModels = request.getfixturevalue("tiny")
    model, adapter = found.model or str(tiny.base), os.environ.get("TWIN_TEST_ADAPTER") or str(tiny.first)
    real = SglangProcess(found, model, key=KEY, host="127.0.0.1")
    generator = OpenAIGenerator(model, real.url, key=KEY)
    try:
        real.wait(found.start_minutes * 60)
        assert say(generator, None)
        generator.load("ada-1", Path(adapter))
        assert say(generator, "ada-1")
        assert generator.listed().adapters == ("ada-1",)
        assert isinstance(real.ongoing(), int)
        assert not [each for each in real.last_lines if KEY in each]
    finally:
        generator.close()
        real.stop()


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"options": ["--host=0.0.0.0"]}, "--host is set by"),
        ({"options": ["--dp-size", "2"]}, "have several engines instead"),
        ({"options": ["--enable-dp-attention"]}, "have several engines instead"),
        ({"options": ["--pp-size=2"], "gpus": 3}, "has to be a multiple of --pp-size"),
        ({"max_replicas": 2}, "has to be 1 to max_replicas"),
        ({"replicas": 3, "max_replicas": 2}, "has to be 1 to max_replicas"),
    ],
)
def test_settings_that_no_engine_can_follow_are_refused(changed: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        RayEngineSettings.model_validate(changed)
