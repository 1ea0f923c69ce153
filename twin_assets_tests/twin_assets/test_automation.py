"""When the graph trains by itself, shown by real ticks on an instance."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from twin_assets.automation import due, when_all_is_in, when_data_changed, when_dataset_changed
from twin_assets_tests.support.automation import evaluate

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
        result = evaluate(defs=self.defs, instance=self.instance, cursor=self.cursor)
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


class Collection:
    """Two categories from source to passages, a dataset of both, an index of each, and what is trained."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.texts = {"articles": "a1", "posts": "p1"}
        self.made: Counter[str] = Counter()
        self.cursors: dict[str, Any] = {}
        assets = []
        for category in self.texts:
            assets.append(self._asset(f"raw_{category}", [], category))
            for stage, before, by in (
                ("clean", "raw", when_data_changed()),
                ("chunks", "clean", when_data_changed()),
                ("index", "chunks", when_data_changed()),
            ):
                assets.append(self._asset(f"{stage}_{category}", [f"{before}_{category}"], category, by))
        passages = [f"chunks_{category}" for category in self.texts]
        assets.append(self._asset("dataset", passages, None, when_all_is_in()))
        assets.append(self._asset("adapter", ["dataset"], None, when_data_changed()))
        indexes = [f"index_{category}" for category in self.texts]
        by = when_dataset_changed(dg.AssetKey("dataset"))
        assets.append(self._asset("ranker", ["dataset", *indexes], None, by))
        self.defs = dg.Definitions(assets=assets)
        self.names = [key.to_user_string() for key in self.defs.resolve_asset_graph().get_all_asset_keys()]
        self.job = self.defs.resolve_implicit_global_asset_job_def()
        instance.add_dynamic_partitions("author", ["me"])

    def _asset(self, name: str, deps: list[str], category: str | None, by: Any = None) -> dg.AssetsDefinition:
        @dg.asset(name=name, partitions_def=AUTHORS, deps=deps, code_version="1", automation_condition=by)
        def made() -> dg.MaterializeResult:
            self.made[name] += 1
            text = self.texts[category] if category else " ".join(self.texts.values())
            return dg.MaterializeResult(data_version=dg.DataVersion(f"{name} {text}"))

        return made

    def make(self, *names: str) -> None:
        wanted = {dg.AssetKey(name) for name in names}
        self.job.get_subset(asset_selection=wanted).execute_in_process(instance=self.instance, partition_key="me")

    def start(self, name: str) -> dg.DagsterRun:
        """A run of a raw asset that does not end."""
        wanted = frozenset({dg.AssetKey(name)})
        return self.instance.create_run_for_job(
            self.job.get_subset(asset_selection=set(wanted)),
            asset_selection=wanted,
            tags={"dagster/partition": "me"},
            status=dg.DagsterRunStatus.STARTED,
        )

    def ticks(self, count: int) -> Counter[str]:
        """What so many evaluations of both sensors make, each of which runs what it asks for."""
        before = self.made.copy()
        for _ in range(count):
            wanted = []
            for sensor in ("cpu", "gpu"):
                named = [name for name in self.names if (name in ("adapter", "ranker")) == (sensor == "gpu")]
                result = evaluate(
                    defs=self.defs,
                    instance=self.instance,
                    asset_selection=dg.AssetSelection.assets(*named),
                    cursor=self.cursors.get(sensor),
                )
                self.cursors[sensor] = result.cursor
                wanted += [name for name in named if result.get_num_requested(dg.AssetKey(name))]
            if wanted:
                self.make(*wanted)
        return self.made - before


def test_a_collection_of_several_categories_makes_one_dataset_and_trains_once() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        world = Collection(instance)
        world.ticks(1)
        world.make("raw_articles", "raw_posts")
        trained = ("dataset", "adapter", "ranker")
        first = world.ticks(5)
        assert [first[name] for name in trained] == [1, 1, 1], "the first is made at once"
        world.texts = {"articles": "a2", "posts": "p2"}
        slow = world.start("raw_posts")
        world.make("raw_articles")
        half = world.ticks(3)
        assert [half[name] for name in ("chunks_articles", "index_articles")] == [1, 1], "search does not wait"
        assert [half[name] for name in trained] == [0, 0, 0], "posts are on their way"
        instance.report_run_failed(slow)
        world.make("raw_posts")
        rest = world.ticks(5)
        assert [rest[name] for name in trained] == [1, 1, 1]
        world.texts["articles"] = "a3"
        world.make("index_articles")
        assert world.ticks(2) == Counter(), "an index that is ready after the dataset trains nothing again"
