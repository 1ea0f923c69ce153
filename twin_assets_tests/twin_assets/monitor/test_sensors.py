"""The sensor that tells people, ticked as the daemon ticks it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from twin_assets.monitor.sensors import alerts
from twin_assets.partitions import AUTHORS
from twin_resources.config.settings import Settings
from twin_resources.runtime.resources import Twin
from twin_resources.storage.releases import WITHDRAWER, Adapter


@pytest.fixture
def twin(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Twin:
    assert settings.database_url
    monkeypatch.setenv("TWIN_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("TWIN_HOME", str(tmp_path))
    author = {"id": "ada", "name": "Ada Berg", "consent": "Written for this test. 2026-11-21"}
    rules = {"alerts": {"patience": 1, "roll_back": True}}
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump({"authors": [author], "monitoring": rules}))
    made = Twin(config=str(tmp_path / "twin.yaml"))
    made.record_author("ada")
    return made


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        made.add_dynamic_partitions("author", ["ada"])
        yield made


def tick(instance: dg.DagsterInstance, twin: Twin) -> str:
    with dg.build_sensor_context(instance=instance, resources={"twin": twin}) as context:
        found = alerts(context)
    assert isinstance(found, dg.SkipReason)
    return found.skip_message or ""


def call(twin: Twin, number: int, **more: Any) -> str:
    trace = f"trace-{number}"
    twin.interactions.record(trace, author="ada", call="ask", query="why?", answer="so", **more)
    return trace


def test_requests_that_fail_are_told_until_they_do_not(twin: Twin, instance: dg.DagsterInstance) -> None:
    assert tick(instance, twin) == "nothing new is wrong"
    for number in range(10):
        call(twin, number, error="boom" if number < 2 else None)
    assert tick(instance, twin) == "[twin] ada: failures opened"
    assert tick(instance, twin) == "nothing new is wrong"
    for number in range(10, 90):
        call(twin, number)
    assert tick(instance, twin) == "[twin] ada: failures is well again"


def test_a_run_that_failed_is_told_unless_it_is_tried_again(twin: Twin, instance: dg.DagsterInstance) -> None:
    @dg.job
    def nothing() -> None: ...

    def ended(status: dg.DagsterRunStatus, **tags: str) -> None:
        tags = {"dagster/partition": "ada", **tags}
        instance.create_run_for_job(nothing, status=status, tags=tags)

    ended(dg.DagsterRunStatus.FAILURE, **{"dagster/will_retry": "true"})
    assert tick(instance, twin) == "nothing new is wrong"
    ended(dg.DagsterRunStatus.FAILURE)
    assert tick(instance, twin) == "[twin] ada: failed_run opened"
    ended(dg.DagsterRunStatus.SUCCESS)
    assert tick(instance, twin) == "[twin] ada: failed_run is well again"


def test_a_stage_that_failed_is_told_by_name_until_it_is_made(twin: Twin, instance: dg.DagsterInstance) -> None:
    """The alert closed with the next run that ended well, whatever that had made."""
    broken = [True]

    @dg.asset(key=["models", "sft_adapter"], partitions_def=AUTHORS)
    def adapter() -> None:
        if broken:
            raise RuntimeError("the loss rose")

    @dg.asset(key=["reports", "monitoring"], partitions_def=AUTHORS)
    def report() -> None: ...

    def run(asset: dg.AssetsDefinition) -> None:
        dg.materialize([asset], instance=instance, partition_key="ada", raise_on_error=False)

    run(adapter)
    assert tick(instance, twin) == "[twin] ada: failed_run opened"
    (told,) = twin.alerts.list()
    assert told.text == "models/sft_adapter failed; `twin status` says why"
    run(report)
    assert tick(instance, twin) == "nothing new is wrong", "another run ended well, and the adapter is still missing"
    broken.clear()
    run(adapter)
    assert tick(instance, twin) == "[twin] ada: failed_run is well again"


@pytest.fixture
def released(twin: Twin) -> Twin:
    """A twin of whom ``two`` speaks, ``one`` did before, and ``three`` may be tried."""
    twin.datasets.add("data", "ada", "instruct", "datasets/data", {}, ())
    for version in ("one", "two", "three"):
        row: dict[str, Any] = {"id": version, "author": "ada", "version": version, "kind": "sft", "base": "tiny"}
        row |= {"dataset_id": "data", "artifact": "", "parameters": {}, "metrics": {}, "tracking_run": None}
        twin.releases.add_adapter(Adapter(**row))
        twin.reports.add(f"gate-{version}", "ada", "gate", version, {"passed": True, "failed": []}, "")
        if version != "three":
            twin.releases.approve(version, by="ada")
    return twin


def champion(twin: Twin) -> str | None:
    found = twin.releases.alias("ada", "champion")
    return found and found.version


def test_a_champion_that_readers_dislike_gives_way_to_the_one_before(
    released: Twin, instance: dg.DagsterInstance
) -> None:
    for number in range(10):
        released.interactions.feedback(call(released, number, version="two"), "down")
    assert tick(instance, released) == "[twin] ada: ratings opened"
    assert champion(released) == "one"
    assert released.releases.history("ada")[0].comment == "10 of 10 ratings are thumbs down"
    tick(instance, released)
    assert champion(released) == "one", "once"


def test_the_champion_is_not_blamed_for_what_readers_dislike_on_a_canary(
    released: Twin, instance: dg.DagsterInstance
) -> None:
    released.releases.start_canary("three", 0.5, by="ada")
    for number in range(20):
        drawn = {"draw": 0.1, "version": "three" if number < 18 else None}
        released.interactions.feedback(call(released, number, **drawn), "down")
    assert tick(instance, released) == "nothing new is wrong"
    assert champion(released) == "two"
    released.releases.reject("three", by="ada", comment="shorter")
    for number in range(20, 30):
        released.interactions.feedback(call(released, number, version="two"), "up")
    assert tick(instance, released) == "nothing new is wrong", "what it wrote stays its own when it has ended"
    assert champion(released) == "two"


def test_the_champion_answers_for_its_own_conversations_beside_a_canary(
    released: Twin, instance: dg.DagsterInstance
) -> None:
    released.releases.start_canary("three", 0.5, by="ada")
    for number in range(40):
        drawn = {"draw": 0.1, "version": "three"} if number < 30 else {"draw": 0.9, "version": "two"}
        released.interactions.feedback(call(released, number, **drawn), "up" if number < 30 else "down")
    assert tick(instance, released) == "[twin] ada: ratings opened"
    assert champion(released) == "one"


def test_a_canary_that_was_withdrawn_is_told_once(released: Twin, instance: dg.DagsterInstance) -> None:
    released.releases.start_canary("three", 0.5, by="ada")
    assert tick(instance, released) == "nothing new is wrong"
    released.releases.reject("three", by=WITHDRAWER, comment="readers fared worse on it")
    assert tick(instance, released) == "[twin] ada: withdrawn_canary"
    assert [tick(instance, released) for _ in range(2)] == ["nothing new is wrong"] * 2
    released.releases.start_canary("three", 0.5, by="ada")
    assert tick(instance, released) == "nothing new is wrong"
    assert released.alerts.list() == []
