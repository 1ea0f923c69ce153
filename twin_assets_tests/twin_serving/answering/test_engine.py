"""Which model answers for an author."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from twin_assets_tests.support.site import add_adapter, wait_for
from twin_assets_tests.support.tiny_models import BASE, FIRST, SECOND, TinyModels
from twin_resources.config.settings import Settings
from twin_resources.generation.base import EngineState, Generator, QueueFull, Stream, Turns
from twin_resources.generation.embedded import EmbeddedGenerator
from twin_resources.rag import prompt
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.lineage import retire
from twin_resources.storage.releases import Releases
from twin_serving.answering.engine import AnswerEngine, Speaker
from twin_serving.answering.errors import NotReady, UnknownModel

TURNS = prompt.messages("How often?")


@pytest.fixture
def engine(made: tuple[Settings, sa.Engine]) -> Iterator[AnswerEngine]:  # pyright: ignore[reportGeneralTypeIssues]
    settings, database = made

    def make(settings: Settings) -> Generator:
        return EmbeddedGenerator.of(settings, render=prompt.render, stop=prompt.STOP)

    found = AnswerEngine(settings, Releases(database), ArtifactStore.of(settings), make, poll_seconds=0.1, keep=1)
    assert found.unready() == "the model is loading"
    with pytest.raises(NotReady, match="loading"):
        found.stream(TURNS, version=None, max_tokens=1, temperature=0)
    found.start()
    wait_for(lambda: found.unready() is None)
    yield found
    found.stop()


def say(engine: AnswerEngine, model: str | None = None) -> str:
    version = engine.choose("ada", model)
    answer = engine.stream(TURNS, version=version, max_tokens=40, temperature=0)
    for _ in answer:
        pass
    assert answer.usage is not None
    return answer.usage.text


def test_the_champion_is_followed_and_rolled_back(
    engine: AnswerEngine, made: tuple[Settings, sa.Engine], dagster: tuple[int, list[dict[str, Any]]]
) -> None:
    releases, reports = Releases(made[1]), dagster[1]
    assert say(engine) == BASE
    for version, answer in (("ada-first", FIRST), ("ada-second", SECOND)):
        releases.approve(version, by="test")
        wait_for(lambda version=version: engine.champion("ada") == version)
        assert say(engine) == answer
    assert set(engine.loaded()) == {"ada-first", "ada-second"}
    releases.rollback("ada", by="test")
    wait_for(lambda: engine.champion("ada") == "ada-first")
    assert say(engine) == FIRST
    assert say(engine, "previous") == SECOND
    wait_for(lambda: len([each for each in reports if each["partition"] == "ada"]) >= 4)
    sent = [each for each in reports if each["partition"] == "ada"]
    assert [each["data_version"] for each in sent] == ["base", "ada-first", "ada-second", "ada-first"]
    assert sent[1]["path"] == "/report_asset_materialization/serving?partition=ada"
    assert sent[1]["metadata"]["previous"] == "base"


def test_dagster_is_told_what_each_engine_serves_and_when_that_changes(
    made: tuple[Settings, sa.Engine], dagster: tuple[int, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, database = made
    states = [EngineState("http://one:1", BASE, ("ada-first",)), EngineState("http://two:2", BASE, (), "it is gone")]

    class Afar(EmbeddedGenerator):
        def engines(self) -> list[EngineState]:
            return states

    def make(settings: Settings) -> Generator:
        return Afar.of(settings, render=prompt.render, stop=prompt.STOP)

    def told() -> list[dict[str, str]]:
        return [each["metadata"]["engines"] for each in dagster[1] if each["data_version"] == "ada-first"]

    monkeypatch.setattr("twin_serving.answering.engine._AGAIN_SECONDS", 0.0)
    Releases(database).approve("ada-first", by="test")
    found = AnswerEngine(settings, Releases(database), ArtifactStore.of(settings), make, poll_seconds=0.05)
    found.start()
    try:
        wait_for(told)
        states[1] = EngineState("http://two:2", BASE, ("ada-first",))
        wait_for(lambda: len(told()) == 2)
    finally:
        found.stop()
    first = {"http://one:1": "ada-first", "http://two:2": "it is gone"}
    assert told() == [first, {**first, "http://two:2": "ada-first"}]


def by_conversation(engine: AnswerEngine) -> dict[str, str | None]:
    return {each: engine.speaker("ada", each).version for each in (f"conversation {number}" for number in range(40))}


def test_a_canary_answers_its_share_of_conversations_until_it_ends(
    engine: AnswerEngine, made: tuple[Settings, sa.Engine]
) -> None:
    releases = Releases(made[1])
    releases.approve("ada-first", by="test")
    wait_for(lambda: engine.champion("ada") == "ada-first")
    assert {(each.version, each.draw) for each in (engine.speaker("ada", "x"), engine.speaker("ada", "y"))} == {
        ("ada-first", None)
    }
    releases.start_canary("ada-second", 0.5, by="test")
    wait_for(lambda: engine.canary("ada"))
    drawn = by_conversation(engine)
    assert set(drawn.values()) == {"ada-first", "ada-second"}
    assert engine.speaker("bo", "x") == Speaker(None)
    assert [engine.serves("ada", each) for each in ("ada-first", "ada-second", "ada-third")] == [True, True, False]
    wait_for(lambda: set(engine.loaded()) == {"ada-first", "ada-second"})
    releases.start_canary("ada-second", 0.9, by="test")
    wait_for(lambda: (found := engine.canary("ada")) and found.share == 0.9)
    kept = by_conversation(engine)
    assert all(kept[each] == "ada-second" for each, version in drawn.items() if version == "ada-second")
    releases.approve("ada-second", by="test")
    wait_for(lambda: engine.champion("ada") == "ada-second" and engine.canary("ada") is None)
    assert set(by_conversation(engine).values()) == {"ada-second"}
    releases.start_canary("ada-first", 0.5, by="test")
    wait_for(lambda: engine.canary("ada"))
    assert say(engine, "canary") == FIRST, "it can be asked for by name"
    assert engine.is_named("ada", "twin/ada@canary")
    releases.reject("ada-first", by="test", comment="shorter")
    wait_for(lambda: engine.canary("ada") is None)
    assert set(by_conversation(engine).values()) == {"ada-second"}


def test_a_canary_that_does_not_answer_gets_no_conversation(
    engine: AnswerEngine, made: tuple[Settings, sa.Engine], tiny: TinyModels, caplog: pytest.LogCaptureFixture
) -> None:
    settings, database = made
    releases = Releases(database)
    releases.approve("ada-first", by="test")
    add_adapter(settings, database, "ada-broken", tiny.base)
    releases.start_canary("ada-broken", 0.9, by="test")
    wait_for(lambda: "ada-broken does not answer" in caplog.text)
    assert set(by_conversation(engine).values()) == {"ada-first"}
    served = engine.champions()["ada"]
    assert served.problem is None
    assert "ada-broken does not answer" in (served.canary_problem or "")
    assert "ada-broken does not answer" in (engine.hindrance("ada", "ada-broken") or "")
    assert [engine.hindrance("ada", each) for each in ("ada-first", "ada-second")] == [None, None]
    releases.reject("ada-broken", by="test", comment="it does not load")
    wait_for(lambda: engine.champions()["ada"].canary_problem is None)


class Crowded(EmbeddedGenerator):
    """A generator whose queue has no place for another reader, ever."""

    def stream(self, *args: Any, **options: Any) -> Stream:
        raise QueueFull("8 answers are waiting already")


def test_a_champion_takes_over_although_the_queue_is_always_full(made: tuple[Settings, sa.Engine]) -> None:
    settings, database = made
    releases = Releases(database)

    def make(settings: Settings) -> Generator:
        return Crowded.of(settings, render=prompt.render, stop=prompt.STOP)

    found = AnswerEngine(settings, releases, ArtifactStore.of(settings), make, poll_seconds=0.05)
    found.start()
    try:
        wait_for(lambda: found.unready() is None)
        releases.approve("ada-first", by="test")
        wait_for(lambda: found.champion("ada") == "ada-first")
    finally:
        found.stop()


def test_a_champion_takes_over_on_a_server_that_has_no_place_for_a_probe(
    made: tuple[Settings, sa.Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, database = made
    releases, asked = Releases(database), []

    class Busy(EmbeddedGenerator):
        def probe(self, turns: Turns, version: str) -> None:
            asked.append(version)
            raise QueueFull("the server answers 429")

    def make(settings: Settings) -> Generator:
        return Busy.of(settings, render=prompt.render, stop=prompt.STOP)

    monkeypatch.setattr("twin_serving.answering.engine.PROBES", 3)
    found = AnswerEngine(settings, releases, ArtifactStore.of(settings), make, poll_seconds=0.05)
    found.start()
    try:
        wait_for(lambda: found.unready() is None)
        releases.approve("ada-first", by="test")
        wait_for(lambda: found.champion("ada") == "ada-first")
        assert asked == ["ada-first"] * 3, "it is loaded, and a server that refuses everyone does not judge it"
    finally:
        found.stop()


def test_an_adapter_is_unloaded_only_when_no_answer_uses_it(engine: AnswerEngine) -> None:
    answer = engine.stream(TURNS, version="ada-first", max_tokens=40, temperature=0)
    assert say(engine, "ada-second") == SECOND
    wait_for(lambda: engine.loaded() == ["ada-first"])
    assert "".join(answer).strip() == FIRST
    assert say(engine, "ada-second") == SECOND
    wait_for(lambda: engine.loaded() == ["ada-second"])
    assert say(engine, "ada-first") == FIRST


def test_a_champion_that_does_not_fit_leaves_the_one_before(
    engine: AnswerEngine, made: tuple[Settings, sa.Engine], tiny: TinyModels
) -> None:
    settings, database = made
    releases = Releases(database)
    releases.approve("ada-first", by="test")
    wait_for(lambda: engine.champion("ada") == "ada-first")
    add_adapter(settings, database, "ada-broken", tiny.base)
    releases.approve("ada-broken", by="test")
    wait_for(lambda: engine.champions()["ada"].problem)
    assert "ada-broken does not answer" in engine.champions()["ada"].problem
    assert say(engine) == FIRST
    with database.begin() as session:
        session.execute(sa.text("UPDATE adapter SET base = 'other' WHERE version = 'ada-broken'"))
    wait_for(lambda: "was trained over other" in engine.champions()["ada"].problem)
    assert say(engine) == FIRST


def test_only_an_authors_own_usable_versions_are_chosen(engine: AnswerEngine, made: tuple[Settings, sa.Engine]) -> None:
    assert engine.choose("ada", "twin/ada@ada-first") == "ada-first"
    with pytest.raises(UnknownModel, match="there are: base, champion"):
        engine.choose("bo", "ada-first")
    with pytest.raises(UnknownModel, match="'ada' has no previous"):
        engine.choose("ada", "previous")
    retire(made[1], "ada-second", "a document was forgotten")
    with pytest.raises(UnknownModel, match="retired: a document was forgotten"):
        engine.choose("ada", "ada-second")
