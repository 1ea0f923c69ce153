"""When the graph trains by itself, shown by real ticks on an instance."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from twin_assets.automation import due, when_data_changed

AUTHORS = dg.DynamicPartitionsDefinition(name="author")


class World:
    """A dataset with a blocking gate, and a model that trains when the dataset changed."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.version = "v1"
        self.gate_passes = True
        self.works = True
        self.check_works = True
        self.trained: list[str] = []
        self.cursor = None

        @dg.asset(partitions_def=AUTHORS, code_version="1")
        def dataset() -> dg.MaterializeResult:
            return dg.MaterializeResult(data_version=dg.DataVersion(self.version))

        @dg.asset_check(asset=dataset, blocking=True, partitions_def=AUTHORS)
        def gate() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=self.gate_passes)

        @dg.asset(partitions_def=AUTHORS, deps=[dataset], code_version="1", automation_condition=when_data_changed())
        def model() -> dg.MaterializeResult:
            self.trained.append(self.version)
            if not self.works:
                raise RuntimeError("out of memory")
            return dg.MaterializeResult(data_version=dg.DataVersion(f"model of {self.version}"))

        @dg.asset_check(asset=model, blocking=True, partitions_def=AUTHORS)
        def sound() -> dg.AssetCheckResult:
            if not self.check_works:
                raise RuntimeError("the process is gone")
            return dg.AssetCheckResult(passed=True)

        self.defs = dg.Definitions(assets=[dataset, model], asset_checks=[gate, sound])
        self.dataset, self.model, self.gate = dataset, model, gate
        instance.add_dynamic_partitions("author", ["me"])

    def publish(self, version: str, *, gate_passes: bool = True) -> None:
        self.version, self.gate_passes = version, gate_passes
        job = self.defs.resolve_implicit_global_asset_job_def()
        job.get_subset(
            asset_selection={self.dataset.key}, asset_check_selection={self.gate.check_key}
        ).execute_in_process(instance=self.instance, partition_key="me", raise_on_error=False)

    def check_again(self, *, gate_passes: bool) -> None:
        self.gate_passes = gate_passes
        job = self.defs.resolve_implicit_global_asset_job_def()
        job.get_subset(asset_selection=set(), asset_check_selection={self.gate.check_key}).execute_in_process(
            instance=self.instance, partition_key="me"
        )

    def tick(self) -> int:
        """One evaluation of the sensor; runs what it asks for, as the daemon would, and returns how much that was."""
        result = dg.evaluate_automation_conditions(defs=self.defs, instance=self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        requested = result.get_num_requested(self.model.key)
        if requested:
            job = self.defs.resolve_implicit_global_asset_job_def()
            job.get_subset(asset_selection={self.model.key}).execute_in_process(
                instance=self.instance, partition_key="me", raise_on_error=False
            )
        return requested


@pytest.fixture
def world() -> Iterator[World]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield World(instance)


def test_a_new_version_trains_once_and_the_same_version_stays_quiet(world: World) -> None:
    assert world.tick() == 0, "nothing to train on yet"
    world.publish("v1")
    assert [world.tick() for _ in range(3)] == [1, 0, 0]
    world.publish("v1")
    assert [world.tick() for _ in range(3)] == [0, 0, 0], "the same content again must not retrain"
    world.publish("v2")
    assert [world.tick() for _ in range(3)] == [1, 0, 0]
    assert world.trained == ["v1", "v2"]


def test_a_failing_gate_holds_training_back_until_it_passes(world: World) -> None:
    world.tick()
    world.publish("v1")
    world.tick()
    world.publish("v2", gate_passes=False)
    assert [world.tick() for _ in range(2)] == [0, 0], "a dataset that failed its gate must not be trained on"
    world.check_again(gate_passes=True)
    assert [world.tick() for _ in range(3)] == [1, 0, 0], "and is trained on once when the gate passes"
    assert world.trained == ["v1", "v2"]


def test_a_change_right_after_a_request_is_not_lost(world: World) -> None:
    world.tick()
    world.publish("v1")
    assert world.tick() == 1
    world.publish("v2")
    assert [world.tick() for _ in range(3)] == [1, 0, 0]
    assert world.trained == ["v1", "v2"]


def test_an_author_who_is_there_when_the_sensor_starts_is_not_rebuilt(world: World) -> None:
    world.publish("v1")
    job = world.defs.resolve_implicit_global_asset_job_def()
    job.get_subset(asset_selection={world.model.key}).execute_in_process(instance=world.instance, partition_key="me")
    assert [world.tick() for _ in range(3)] == [0, 0, 0]
    assert world.trained == ["v1"]


def test_a_schedule_is_due_once_a_tick() -> None:
    monday = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
    assert due("0 6 * * 1", monday - timedelta(minutes=1), monday + timedelta(seconds=5))
    assert not due("0 6 * * 1", monday + timedelta(seconds=5), monday + timedelta(days=6))
    assert not due(None, monday, monday + timedelta(days=30))


def test_what_is_missing_when_the_sensor_starts_is_made(world: World) -> None:
    world.publish("v1")
    assert [world.tick() for _ in range(3)] == [1, 0, 0], "an author that an import brought before the daemon ran"


def test_a_failure_is_tried_again_once_and_new_content_starts_anew(world: World) -> None:
    world.tick()
    world.works = False
    world.publish("v1")
    assert sum(world.tick() for _ in range(8)) == 2
    world.publish("v2")
    assert sum(world.tick() for _ in range(8)) == 2
    world.publish("v3")
    world.tick()
    world.works = True
    assert [world.tick() for _ in range(3)] == [1, 0, 0]
    world.works = False
    world.publish("v4")
    assert sum(world.tick() for _ in range(8)) == 2, "a success in between gives the next failure its own second try"
    assert world.trained == ["v1", "v1", "v2", "v2", "v3", "v3", "v4", "v4"]


def test_a_run_that_died_between_an_asset_and_its_check_is_made_up_for(world: World) -> None:
    """The asset is there, so nothing failed of it; but what follows waits for the check."""
    world.tick()
    world.publish("v1")
    world.check_works = False
    assert world.tick() == 1
    world.check_works = True
    assert sum(world.tick() for _ in range(6)) == 1
    world.publish("v2")
    world.check_works = False
    assert sum(world.tick() for _ in range(8)) == 2, "a check that dies each time is not tried for ever"
