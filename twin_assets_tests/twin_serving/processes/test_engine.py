"""SGLang as a server of ``twin up``, and several engines by their addresses, on a program that takes SGLang's place."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from twin_assets_tests.support import sglang_server, site
from twin_assets_tests.support.processes import alive, external, free_ports, within
from twin_assets_tests.support.ray_serving import two_adapters
from twin_resources.config.engine import EngineSettings
from twin_resources.config.settings import Settings, load
from twin_resources.database import postgres
from twin_resources.generation.base import EngineState
from twin_resources.generation.pool import EnginePool
from twin_serving.answering.engine import make_generator
from twin_serving.cli.status import engines_seen
from twin_serving.processes import doctor
from twin_serving.processes.engine import problems
from twin_serving.processes.servers import list_servers
from twin_serving.processes.sglang import SglangProcess
from twin_serving.processes.supervisor import Supervisor, SupervisorError

KEY = "of-these-engines-0123456789"
TURNS = ({"role": "user", "content": "Go on."},)
WRITING = "Write a short post about the gauge."


def engines_of(folder: Path) -> list[int]:
    """Processes that answer as SGLang."""
    return [pid for pid, line in alive(folder).items() if sglang_server.__name__ in line and "guard" not in line]


@pytest.fixture
def supervised(
    home: Path, server: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Settings, Callable[..., Supervisor]]]:
    """Settings of an engine that ``twin up`` would start, and what would watch it; says nothing."""
    with (home / "twin.yaml").open("a") as config:
        config.write(f"engine: {{python: {sglang_server.interpreter(tmp_path)}, model: tiny, check_seconds: 0.5}}\n")
    monkeypatch.setenv("TWIN_ENGINE_PORT", str(free_ports(1)[0]))
    settings = external(home, server)
    settings = settings.model_copy(update={"engine": load(home / "twin.yaml").engine})

    def make() -> Supervisor:
        return Supervisor(settings, postgres.databases(settings.postgres), say=lambda _: None)

    yield settings, make
    assert within(20, lambda: not alive(tmp_path)), alive(tmp_path)


@pytest.mark.long
def test_a_dead_engine_is_started_again_and_quotations_say_meanwhile_that_it_is_away(
    supervised: tuple[Settings, Callable[..., Supervisor]],
    new_settings: Callable[..., Settings],
    seed: Callable[[Settings], sa.Engine],
    tmp_path: Path,
) -> None:
    of_engine, make = supervised
    url = f"http://127.0.0.1:{of_engine.engine_port}"
    settings = new_settings(engine_url=url, engine_key=KEY, models={"base": "tiny", "reranker": None})
    database = seed(settings)
    two_adapters(settings, database, tmp_path / "adapter")
    with make() as it:
        it.start([list_servers(of_engine, engine_key=KEY)["engine"]])
        with site.running(settings, database) as api, api.client() as client:
            api.answers(lambda: _asked(client)["model"]["adapter"] == "ada-b")
            found = client.get("/readyz").json()
            assert found["engines"] == [{"address": url, "model": "served", "adapters": ["ada-b"], "problem": None}]
            assert engines_seen(settings, api.url) == found["engines"]
            for pid in engines_of(tmp_path):
                os.kill(pid, signal.SIGKILL)
            at_once = _asked(client)
            assert within(60, lambda: not client.get("/readyz").json()["can_answer"])
            for each in (at_once, _asked(client), quotation := site.ask(client, mode="auto")):
                assert each["mode"] == "quote"
                assert each["because"].startswith("the language model cannot be reached now")
            assert quotation["citations"]
            assert client.get("/readyz").json()["ready"]
            assert within(60, lambda: it._children["engine"].process.poll() is not None)
            it.watch()
            api.answers(lambda: _asked(client)["mode"] == "write", 60)
    first, second = sglang_server.journal(tmp_path).values()
    assert first[0] == second[0] == ("load", "ada-b")
    written = (it.logs / "engine.log").read_text()
    assert "'api_key': '***'" in written
    assert KEY not in written


def _asked(client: Any) -> dict[str, Any]:
    return site.ask(client, mode="auto", query=WRITING)


def test_an_engine_that_ends_at_the_start_is_shown_with_its_last_words(
    supervised: tuple[Settings, Callable[..., Supervisor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, make = supervised
    monkeypatch.setenv("TWIN_ENGINE__OPTIONS", '["--no-such-option"]')
    with (
        make() as it,
        pytest.raises(SupervisorError, match=r"(?s)SGLang engine ended with.*arguments: --no-such-option"),
    ):
        it.start([list_servers(settings, engine_key=KEY)["engine"]])


@pytest.mark.parametrize(
    ("changed", "hidden", "why"),
    [
        ({"python": ""}, None, r"in TWIN_ENGINE_URL, or the interpreter .* in engine.python"),
        ({"python": "/nowhere/python"}, None, "names /nowhere/python, and there is no such program"),
        ({"python": "/bin/false"}, None, "/bin/false of engine.python has no SGLang"),
        ({}, "-1", "CUDA_VISIBLE_DEVICES='-1' hides every GPU, and SGLang needs one"),
        ({"options": ["--device", "cpu"]}, "-1", None),
        ({"gpus": 0}, "-1", None),
    ],
)
def test_what_keeps_an_engine_from_starting_is_said_before(
    changed: dict[str, Any], hidden: str | None, why: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"python": str(sglang_server.interpreter(tmp_path)), "gpus": int(hidden is not None), **changed}
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    found = list(problems(EngineSettings.model_validate(asked)))
    assert len(found) == bool(why)
    assert re.search(why or "", "".join(found))


def test_several_addresses_are_a_pool_that_takes_back_who_died_with_its_adapters(tmp_path: Path) -> None:
    wanted = EngineSettings.model_validate({"python": str(sglang_server.interpreter(tmp_path))})
    ports = free_ports(2)

    def start(port: int) -> SglangProcess:
        return SglangProcess(wanted, "tiny", key=KEY, host="127.0.0.1", port=port)

    running = [start(port) for port in ports]
    urls = [each.url for each in running]
    settings = Settings(engine_url=f"{urls[0]}/v1, {urls[1]}", engine_key=SecretStr(KEY))
    pool = make_generator(settings)

    def say() -> set[str]:
        asked = pool.stream(TURNS, version="ada-1", max_tokens=8, temperature=0.0, seed=None)
        return set(asked.finish().text.split())

    def states() -> dict[str, EngineState]:
        return {each.address: each for each in pool.engines()}

    try:
        assert isinstance(pool, EnginePool)
        assert within(30, lambda: pool.unready() is None and not any(each.problem for each in pool.engines()))
        pool.load("ada-1", tmp_path)
        assert [(states()[url].adapters, states()[url].problem) for url in urls] == [(("ada-1",), None)] * 2
        assert [say() for _ in range(2)] == [{"ada-1"}] * 2
        serves = [("ok", f"{url} serves served with ada-1") for url in urls]
        assert [(each.level, each.finding) for each in doctor.engines(settings)] == serves
        running[0].stop()
        assert [say() for _ in range(2)] == [{"ada-1"}] * 2
        assert pool.unready() is None
        assert "cannot be reached" in (states()[urls[0]].problem or "")
        assert states()[urls[0]].adapters == ()
        assert [each.level for each in doctor.engines(settings)] == ["fail", "ok"]
        running[0] = start(ports[0])
        assert within(30, lambda: pool.unready() is None and states()[urls[0]].problem is None)
        assert [say() for _ in range(2)] == [{"ada-1"}] * 2
        asked = sglang_server.journal(tmp_path)
        assert len(asked) == 3
        assert [each[0] for each in asked.values()] == [("load", "ada-1")] * 3
        assert all(("answer", "ada-1") in each for each in asked.values())
    finally:
        pool.close()
        for each in running:
            each.stop()


@pytest.mark.parametrize("wrong", ["127.0.0.1:30000", "http://a:1,ftp://b", "http://me:secret@host:1"])
def test_addresses_that_are_none_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="write http://host:port, or several separated by commas"):
        Settings(engine_url=wrong)
    with pytest.raises(ValueError, match="TWIN_GENERATOR_KEY"):
        Settings(generator_url="http://me:secret@host:1")
    assert Settings(engine_url=" http://a:1/v1/ ,http://b:2,http://a:1").engine_urls == ("http://a:1", "http://b:2")
