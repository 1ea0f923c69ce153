"""What a run lost with its process is asked for again, by the real conditions, ticks and runs of an instance."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from twin_assets import recovery
from twin_assets.automation import when_data_changed
from twin_assets.definitions import defs as whole
from twin_assets_tests.support.automation import evaluate
from twin_resources.runtime.resources import AUTOMATIC, STARTED_BY

AUTHORS = dg.DynamicPartitionsDefinition(name="author")
LATER = [timedelta(minutes=1), timedelta(minutes=3), timedelta(minutes=11), timedelta(minutes=61)]


class World:
    """A dataset with a blocking gate, and a model that trains on it."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.cursor = None
        self.gate_passes = True
        self.works = True
        self.trained = 0

        @dg.asset(partitions_def=AUTHORS, code_version="1")
        def dataset() -> dg.MaterializeResult:
            return dg.MaterializeResult(data_version=dg.DataVersion("v1"))

        @dg.asset_check(asset=dataset, blocking=True, partitions_def=AUTHORS)
        def gate() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=self.gate_passes)

        @dg.asset(partitions_def=AUTHORS, deps=[dataset], code_version="1", automation_condition=when_data_changed())
        def model() -> dg.MaterializeResult:
            self.trained += 1
            if not self.works:
                raise RuntimeError("out of memory")
            return dg.MaterializeResult(data_version=dg.DataVersion("model"))

        self.defs = dg.Definitions(assets=[dataset, model], asset_checks=[gate])
        self.job = self.defs.resolve_implicit_global_asset_job_def()
        self.model, self.gate = model.key, gate.check_key
        instance.add_dynamic_partitions("author", ["me"])
        self.publish()

    def publish(self) -> None:
        self.job.get_subset(
            asset_selection={dg.AssetKey("dataset")}, asset_check_selection={self.gate}
        ).execute_in_process(instance=self.instance, partition_key="me", raise_on_error=False)

    def requested(self) -> int:
        """How often a tick of the automation sensor asks for the model."""
        result = evaluate(defs=self.defs, instance=self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        return result.get_num_requested(self.model)

    def lose(self, **tags: str) -> str:
        """A run of the model whose process is killed."""
        run = self.instance.create_run_for_job(
            self.job.get_subset(asset_selection={self.model}),
            asset_selection=frozenset({self.model}),
            tags={"dagster/partition": "me", STARTED_BY: AUTOMATIC, "queue": "gpu", **tags},
            status=dg.DagsterRunStatus.STARTED,
        )
        self.instance.report_run_failed(run)
        return run.run_id

    def train(self) -> None:
        self.job.get_subset(asset_selection={self.model}).execute_in_process(
            instance=self.instance, partition_key="me", tags={STARTED_BY: AUTOMATIC}, raise_on_error=False
        )

    def asked(self, after: timedelta = LATER[1]) -> list[dg.RunRequest]:
        """What the recovery sensor asks for so long after."""
        graph = self.defs.resolve_asset_graph()
        return list(recovery.requests(self.instance, graph, datetime.now(UTC) + after))


@pytest.fixture
def world() -> Iterator[World]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield World(instance)


def test_two_losses_in_a_row_leave_nothing_standing_still(world: World) -> None:
    assert world.requested() == 1
    world.lose()
    assert sum(world.requested() for _ in range(2)) == 1, "the condition tries again what failed once"
    lost = world.lose()
    assert sum(world.requested() for _ in range(4)) == 0, "and then waits for new content"
    assert world.asked(LATER[0]) == [], "not at once"
    (again,) = world.asked()
    assert again.asset_selection == [world.model]
    assert again.partition_key == "me"
    assert again.run_key == f"lost {lost}"
    assert again.tags["queue"] == "gpu"
    assert again.tags[STARTED_BY] == AUTOMATIC


def test_what_kills_its_process_each_time_is_left_alone_in_the_end(world: World) -> None:
    asked, tags = 0, {}
    for pause in (*LATER[1:], LATER[-1], LATER[-1]):
        world.lose(**tags)
        assert all(world.asked(earlier) == [] for earlier in LATER if earlier < pause), "each pause is longer"
        if found := world.asked(pause):
            asked += 1
            tags = {recovery.TRIES: found[0].tags[recovery.TRIES]}
    assert asked == len(recovery.PAUSES) < 5


def test_what_fails_by_itself_or_was_taken_up_later_is_not_asked_for(world: World) -> None:
    world.works = False
    world.train()
    assert world.trained == 1
    assert world.asked() == []
    world.works = True
    world.lose()
    assert world.asked()
    world.train()
    assert world.asked() == []


def test_nothing_starts_from_an_input_that_failed_its_check(world: World) -> None:
    world.lose()
    world.gate_passes = False
    world.publish()
    assert world.asked() == []
    world.gate_passes = True
    world.publish()
    assert world.asked()


def test_the_sensor_of_the_graph_runs_and_says_why_it_asks_for_nothing() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, definitions=whole, sensor_name="recovery")
        (said,) = list(recovery.recovery(context))  # pyright: ignore[reportArgumentType]
    assert isinstance(said, dg.SkipReason)
    assert said.skip_message == "no run lost its process"
