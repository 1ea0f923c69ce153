"""Which adapter is proposed and which speaks, after changes, reverts and forgetting."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from twin_assets import keys
from twin_assets.automation import collection
from twin_assets.definitions import defs
from twin_assets.release.sensors import canaries
from twin_resources.config.settings import Settings
from twin_resources.runtime.resources import Twin
from twin_resources.runtime.tracking import Tracking
from twin_resources.sources.base import RawDocument
from twin_resources.sources.folder import Folder
from twin_resources.storage import lineage
from twin_resources.storage.calls.blind_tests import Showing
from twin_resources.storage.releases import Adapter, ReleaseError

DOCUMENT = "https://ada.example/gauge"


@dataclass
class World:
    """An author whose datasets, adapters and reports are written as the graph writes them."""

    twin: Twin
    instance: dg.DagsterInstance
    numbers: Iterator[int] = field(default_factory=itertools.count)
    cursor: str | None = None

    def build(self, number: int) -> str:
        """Dataset, adapter and report of one content, new or made the newest again."""
        version, dataset = f"ada-{number}", f"data-{number}"
        self.twin.datasets.add(dataset, "ada", "instruct", f"datasets/{dataset}", {}, ())
        if self.twin.releases.adapter(f"id-{number}"):
            self.twin.releases.make_newest(f"id-{number}")
        else:
            made: dict[str, Any] = {"kind": "sft", "base": "tiny", "artifact": "a", "parameters": {}, "metrics": {}}
            row = {"id": f"id-{number}", "author": "ada", "version": version, "dataset_id": dataset, **made}
            self.twin.releases.add_adapter(Adapter(**row, tracking_run=None))
            figures = {"candidate": version, "loss": {"base": 3.0, version: 2.0}, "gain": 0.3}
            figures |= {"gain_interval": [0.2, 0.4], "documents": 9}
            self.twin.reports.add(f"generation-{number}", "ada", "generation", version, figures, "")
        return version

    def readers(self, version: str, right: int, answers: int) -> None:
        """So many answers of blind tests on a version, each of another reader."""
        (document,) = self.twin.warehouse.documents.at("ada", [DOCUMENT]).values()
        for number in range(answers):
            name = str(next(self.numbers))
            assert self.twin.blind_tests.show("ada", name, Showing(name, version, "pair", document.id, "a", None))
            self.twin.blind_tests.answer("ada", name, name, "a" if number < right else "b")

    def told(self) -> int:
        """How often the graph was told what blind tests decided, after one more tick of the sensor."""
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, definitions=defs, resources={"twin": self.twin}
        )
        list(collection(context))  # pyright: ignore[reportArgumentType, reportCallIssue]
        self.cursor = context.cursor
        return len(self.instance.fetch_materializations(keys.BLIND_TESTS, limit=10).records)

    def talk(self, *, canary: int, champion: int, **wrong: Any) -> None:
        """So many conversations on canary, each of one call that went ``wrong``, and so many with the champion."""
        running = self.twin.releases.canary("ada")
        assert running
        sides = {True: canary, False: champion}
        while any(sides.values()):
            name = f"conversation {next(self.numbers)}"
            draw = running.draw(name)
            side = running.answers(draw)
            if sides[side]:
                sides[side] -= 1
                more = wrong if side else {}
                self.twin.interactions.record(name, author="ada", call="ask", query="Why?", draw=draw, **more)

    def tick(self) -> str:
        """What the sensor of canaries did."""
        with dg.build_sensor_context(instance=self.instance, resources={"twin": self.twin}) as context:
            found = canaries(context)
        assert isinstance(found, dg.SkipReason)
        return found.skip_message or ""

    def on_canary(self) -> tuple[str, float] | None:
        found = self.twin.releases.canary("ada")
        return found and (found.version, found.share)

    def release(self) -> tuple[str | None, str | None]:
        """Materialise candidate and champion; returns them."""
        job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection={keys.CANDIDATE, keys.CHAMPION})
        job.execute_in_process(
            instance=self.instance, partition_key="ada", resources={"twin": self.twin}, raise_on_error=False
        )
        found = [self.twin.releases.alias("ada", name) for name in ("candidate", "champion")]
        return found[0] and found[0].version, found[1] and found[1].version


@pytest.fixture
def world(
    request: pytest.FixtureRequest,
    new_settings: Callable[..., Settings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    settings = new_settings()
    assert settings.database_url
    monkeypatch.setenv("TWIN_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("TWIN_HOME", str(tmp_path))
    monkeypatch.setattr(Tracking, "mirror", lambda *_: "not mirrored")
    author = {"id": "ada", "name": "Ada Berg", "consent": "Written for this test. 2026-11-21"}
    rules = getattr(request, "param", {"approval": "auto"})
    config = {"authors": [author], "release": rules}
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump(config))
    twin = Twin(config=str(tmp_path / "twin.yaml"))
    opened = Folder("/nowhere", twin.record_author("ada").author)
    source = twin.warehouse.remember_source("ada", opened, {}, remembered=True)
    gauge = RawDocument(DOCUMENT, "web", "articles", "text/markdown", "The gauge writes.")
    twin.warehouse.collect("ada", source, [gauge], origin="folder", name="test")
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("author", ["ada"])
        yield World(twin, instance)


@pytest.mark.parametrize("world", [{"approval": "manual"}], indirect=True)
def test_after_forgetting_the_candidate_is_the_adapter_without_the_text(world: World) -> None:
    first = world.build(1)
    world.release()
    world.twin.releases.approve(first, by="ada")
    second = world.build(2)
    assert world.release() == (second, first)
    world.build(1)
    assert world.release() == (first, first), "never the one that was trained on what was forgotten"


def test_a_revert_restores_the_adapter_of_the_former_dataset(world: World) -> None:
    first, second = world.build(1), None
    assert world.release() == (first, first)
    second = world.build(2)
    assert world.release() == (second, second)
    world.build(1)
    assert world.release() == (first, first)


def test_a_retired_adapter_is_not_proposed_again(world: World) -> None:
    first = world.build(1)
    world.release()
    second = world.build(2)
    world.release()
    lineage.retire(world.twin.engine, second, "trained on what was forgotten")
    assert world.release() == (None, None), "its dataset is still the newest, and there is nothing to propose"
    world.build(1)
    assert world.release() == (first, first)


def test_a_rollback_by_a_person_is_not_undone(world: World) -> None:
    first = world.build(1)
    world.release()
    second = world.build(2)
    world.release()
    world.twin.releases.rollback("ada", by="ada")
    assert [world.release() for _ in range(2)] == [(second, first)] * 2


def test_nothing_takes_over_by_itself_while_requests_fail(world: World) -> None:
    first = world.build(1)
    assert world.release() == (first, first)
    second = world.build(2)
    world.twin.alerts.observe("failures", "ada", "bad", "9 of 10 requests failed")
    assert world.release() == (second, first)
    world.twin.alerts.observe("failures", "ada", "good", "none of 10 requests failed")
    world.twin.alerts.observe("failed_run", "ada", "bad", "a run failed")
    assert world.release() == (second, second), "a run that failed says nothing of what readers get"


@pytest.mark.parametrize("world", [{"approval": "manual"}], indirect=True)
def test_what_readers_certainly_tell_from_the_author_is_held_back_until_they_do_not(world: World) -> None:
    first = world.build(1)
    world.release()
    world.twin.releases.approve(first, by="ada")
    second = world.build(2)
    assert world.release() == (second, first)
    world.readers(first, 15, 30)
    world.readers(second, 9, 10)
    assert [world.told() for _ in range(2)] == [1, 1], "nothing is certain yet"
    world.readers(second, 30, 30)
    assert [world.told() for _ in range(2)] == [2, 2], "the gate is asked again, once"
    world.release()
    with pytest.raises(ReleaseError, match="did not pass the gate \\(blind_test\\)"):
        world.twin.releases.approve(second, by="ada")


@pytest.mark.parametrize("world", [{"approval": "manual"}], indirect=True)
def test_what_answers_readers_questions_worse_than_what_speaks_is_held_back(world: World) -> None:
    first, second = world.build(1), None
    world.release()
    world.twin.releases.approve(first, by="ada")
    second = world.build(2)
    worse = {"difference": -0.3, "low": -0.4, "high": -0.2, "questions": 20, "conversations": 12}
    for number, beside in enumerate((first, "ada-0")):
        figures = {
            "candidate": second,
            "champion": beside,
            "questions": 20,
            "unheard": "",
            "measures": {"support": worse},
        }
        world.twin.reports.add(f"shadow-{number}", "ada", "shadow", second, figures, "")
        world.release()
        found = world.twin.releases.get(second)
        assert found.gate["failed"] == (["shadow_support"] if beside == first else []), "beside what speaks now"


@pytest.mark.parametrize("world", [{"approval": "auto", "min_blind_answers": 3}], indirect=True)
def test_an_automatic_release_waits_for_as_many_answers_as_are_asked_for(world: World) -> None:
    first = world.build(1)
    assert world.release() == (first, None)
    world.readers(first, 1, 2)
    assert world.release() == (first, None)
    assert world.told() == 1
    world.readers(first, 0, 1)
    assert world.told() == 2, "the gate is asked again"
    assert world.release() == (first, first)


CANARY = {"approval": "auto", "canary": 0.2, "canary_conversations": 20}


@pytest.mark.parametrize("world", [CANARY], indirect=True)
def test_a_candidate_takes_over_by_itself_once_readers_fared_no_worse_on_a_share(world: World) -> None:
    first = world.build(1)
    assert world.release() == (first, first), "there is nothing to stand beside"
    assert world.tick() == "no canary ends"
    second = world.build(2)
    assert [world.release() for _ in range(2)] == [(second, first)] * 2
    assert world.on_canary() == (second, 0.2)
    world.talk(canary=19, champion=80)
    assert world.tick() == "no canary ends"
    world.talk(canary=1, champion=1)
    world.twin.alerts.observe("failures", "ada", "bad", "9 of 10 requests failed")
    assert world.tick() == "no canary ends", "nothing takes over while requests fail"
    world.twin.alerts.observe("failures", "ada", "good", "none of 10 requests failed")
    assert world.tick() == f"{second} of ada was approved: readers fared no worse on it in 20 conversations"
    assert (world.release(), world.on_canary()) == ((second, second), None)


@pytest.mark.parametrize("world", [CANARY], indirect=True)
def test_a_canary_on_which_readers_fare_worse_is_withdrawn_with_the_reason_and_stays_so(world: World) -> None:
    first = world.build(1)
    world.release()
    second = world.build(2)
    world.release()
    world.talk(canary=12, champion=48, error="boom")
    reason = "a call failed in 12 of 12 conversations, on the champion in 0 of 48 (p ≤ "
    assert reason in world.tick()
    last = world.twin.releases.decisions([second])[second]
    assert (last.action, last.by) == ("reject", "canary")
    assert [each.alert.rule for each in world.twin.alerts.due(timedelta(days=1))] == ["withdrawn_canary"]
    assert last.comment.startswith(f"readers fared worse on it: {reason}")
    assert [world.release() for _ in range(2)] == [(second, first)] * 2
    assert world.on_canary() is None
    assert world.tick() == "no canary ends"
    third = world.build(3)
    assert (world.release(), world.on_canary()) == ((third, first), (third, 0.2)), "the next one is tried anew"


@pytest.mark.parametrize("world", [{"approval": "manual", "canary": 0.2, "canary_conversations": 10}], indirect=True)
def test_with_manual_approval_only_a_person_begins_and_approves_a_canary(world: World) -> None:
    first = world.build(1)
    world.release()
    world.twin.releases.approve(first, by="ada")
    second = world.build(2)
    assert (world.release(), world.on_canary()) == ((second, first), None)
    world.twin.releases.start_canary(second, 0.3, by="ada")
    world.talk(canary=30, champion=70)
    assert world.tick() == "no canary ends"
    assert (world.release(), world.on_canary()) == ((second, first), (second, 0.3))
    world.talk(canary=20, champion=1, error="boom")
    assert "was withdrawn: a call failed in 20 of 50 conversations" in world.tick()
