"""Engines that come and go behind one generator."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from twin_resources.generation.base import (
    GeneratorError,
    NotLoaded,
    PromptTooLong,
    QueueFull,
    Stream,
    Unreachable,
)
from twin_resources.generation.pool import EnginePool

TURNS = ({"role": "user", "content": "Go on."},)
HERE = Path("adapter")


class Engine:
    """The client of one engine, as far as a pool uses it; ``fails`` is what it raises when it is asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.adapters: set[str] = set()
        self.fails: GeneratorError | None = None
        self.refuses: set[str] = set()
        self.answered: list[str | None] = []
        self.busy = 0
        self.closed = False

    def _check(self) -> None:
        if self.fails:
            raise self.fails

    def load(self, version: str, folder: Path) -> None:
        self._check()
        if version in self.refuses:
            raise GeneratorError(f"{self.url} did not load {version}")
        self.adapters.add(version)

    def unload(self, version: str) -> None:
        self._check()
        self.adapters.discard(version)

    def loaded(self) -> set[str]:
        return set(self.adapters)

    def stream(self, turns: Any, *, version: str | None, **asked: Any) -> Stream:
        self._check()
        assert version is None or version in self.adapters
        self.answered.append(version)
        return Stream(iter(()), lambda: None)  # pyright: ignore[reportArgumentType]

    async def astream(self, turns: Any, *, version: str | None, **asked: Any) -> Stream:
        return self.stream(turns, version=version)

    def probe(self, turns: Any, version: str) -> None:
        self.stream(turns, version=version)

    def unready(self) -> str | None:
        return str(self.fails) if isinstance(self.fails, Unreachable) else None

    def waiting(self) -> int:
        return self.busy

    def close(self) -> None:
        self.closed = True


class Engines:
    """Those that there are, by address, and the pool over them."""

    def __init__(self, *urls: str) -> None:
        self.now = list(urls)
        self.made: dict[str, Engine] = {}
        self.lost = False
        self.pool = EnginePool("tiny", self.addresses, self.connect)  # pyright: ignore[reportArgumentType]

    def addresses(self) -> list[str]:
        if self.lost:
            raise TimeoutError
        return self.now

    def connect(self, url: str) -> Engine:
        self.made[url] = Engine(url)
        return self.made[url]

    def ask(self, version: str | None = None, times: int = 1) -> None:
        for _ in range(times):
            asyncio.run(self.pool.astream(TURNS, version=version, max_tokens=8, temperature=0.0, seed=None))

    def answered(self) -> dict[str, int]:
        return {url: len(each.answered) for url, each in self.made.items()}


@pytest.fixture
def engines() -> Engines:
    found = Engines("a", "b")
    assert found.pool.unready() is None
    return found


def test_all_get_every_adapter_and_the_least_busy_is_asked(engines: Engines) -> None:
    engines.pool.load("v1", HERE)
    assert [each.adapters for each in engines.made.values()] == [{"v1"}, {"v1"}]
    engines.ask("v1", 6)
    assert engines.answered() == {"a": 3, "b": 3}
    engines.made["a"].busy = 2
    engines.ask("v1", 4)
    assert engines.answered() == {"a": 3, "b": 7}
    engines.pool.unload("v1")
    assert engines.pool.loaded() == set()
    with pytest.raises(NotLoaded, match="v1 is in no engine"):
        engines.ask("v1")


def test_who_comes_is_asked_when_it_has_what_the_others_have(engines: Engines) -> None:
    engines.pool.load("v1", HERE)
    engines.now = ["b", "c"]
    engines.ask("v1", 2)
    assert "c" not in engines.made
    assert engines.pool.unready() is None
    assert engines.made["c"].adapters == {"v1"}
    assert engines.made["a"].closed
    engines.ask("v1", 6)
    assert engines.answered() == {"a": 1, "b": 4, "c": 3}


def test_who_goes_is_let_go_when_its_answers_have_ended(engines: Engines) -> None:
    engines.made["a"].busy = 1
    engines.now = ["b"]
    assert engines.pool.unready() is None
    assert engines.pool.waiting() == 1
    assert not engines.made["a"].closed
    engines.made["a"].busy = 0
    engines.pool.unready()
    assert engines.made["a"].closed


def test_who_cannot_be_reached_is_passed_over_until_it_answers(engines: Engines) -> None:
    engines.pool.load("v1", HERE)
    engines.made["a"].fails = Unreachable("a cannot be reached")
    engines.ask("v1", 3)
    assert engines.answered() == {"a": 0, "b": 3}
    engines.pool.load("v2", HERE)
    engines.made["b"].fails = Unreachable("b cannot be reached")
    with pytest.raises(Unreachable):
        engines.ask("v1")
    assert engines.pool.unready() == "a cannot be reached; b cannot be reached"
    engines.made["a"].fails = None
    assert engines.pool.unready() is None
    assert engines.made["a"].adapters == {"v1", "v2"}
    engines.ask("v2")


def test_what_another_engine_would_refuse_too_is_asked_once(engines: Engines) -> None:
    for each in engines.made.values():
        each.fails = PromptTooLong("too long")
    with pytest.raises(PromptTooLong):
        engines.ask()
    for each in engines.made.values():
        each.fails = QueueFull("busy")
    with pytest.raises(QueueFull):
        engines.ask()
    engines.made["b"].fails = None
    engines.ask()
    assert engines.answered() == {"a": 0, "b": 1}


def test_an_adapter_that_one_engine_refuses_is_asked_of_the_others(engines: Engines) -> None:
    engines.made["a"].refuses = {"v1", "v2"}
    engines.pool.load("v1", HERE)
    engines.ask("v1", 2)
    assert engines.answered() == {"a": 0, "b": 2}
    engines.made["b"].refuses = {"v2"}
    with pytest.raises(GeneratorError, match="a did not load v2; b did not load v2"):
        engines.pool.load("v2", HERE)
    engines.made["a"].refuses = set()
    assert engines.pool.unready() is None
    assert engines.made["a"].adapters == {"v1"}


def test_a_probe_is_one_of_every_engine(engines: Engines) -> None:
    engines.pool.load("v1", HERE)
    engines.pool.probe(TURNS, "v1")
    assert engines.answered() == {"a": 1, "b": 1}
    engines.made["a"].fails = GeneratorError("a answered 500")
    with pytest.raises(GeneratorError, match="500"):
        engines.pool.probe(TURNS, "v1")


def test_engines_stay_while_nobody_says_where_they_are() -> None:
    engines = Engines()
    engines.lost = True
    assert engines.pool.unready() == "the engines cannot be looked up: TimeoutError"
    engines.lost = False
    assert engines.pool.unready() == "no engine has started yet"
    with pytest.raises(GeneratorError, match="no engine is there"):
        engines.pool.load("v1", HERE)
    engines.now = ["a"]
    assert engines.pool.unready() is None
    assert engines.made["a"].adapters == {"v1"}, "it was wanted before anybody could load it"
    engines.lost = True
    assert engines.pool.unready() is None
    engines.ask("v1")
