"""How one change goes through the whole graph: the real assets' keys, inputs and conditions, by real ticks."""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import dagster as dg
import pytest

from twin_assets import keys
from twin_assets.automation import DATA_VERSION_TAG, ON_GPU
from twin_assets.definitions import defs
from twin_assets.partitions import AUTHORS, PARTITION_TAG
from twin_assets_tests.support.automation import evaluate
from twin_resources.text.identity import content_id

MINE = "me"
ONE_CATEGORY = (keys.clean("articles"), keys.chunks("articles"), keys.embeddings("articles"))
LEFT_OUT = {
    *(keys.MONITORING_REPORT, keys.SEARCH, keys.SERVING),
    *({*keys.RAW} - {keys.raw("api")}),
    *({*keys.CLEAN, *keys.CHUNKS, *keys.EMBEDDINGS} - {*ONE_CATEGORY}),
}
"""What the hour, a person or a reader starts, and what nothing comes from or goes to here: a tick takes a second."""


class Graph:
    """Every asset under its own key, inputs and condition; what it holds is a hash of what its inputs hold."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.written = 0
        self.held: dict[dg.AssetKey, str] = {}
        self.failing: set[dg.AssetKey] = set()
        self.made: list[dg.AssetKey] = []
        self.cursors: dict[str, Any] = {}
        graph = defs.resolve_asset_graph()
        wanted = [key for key in graph.toposorted_asset_keys if key not in LEFT_OUT]
        self.parents = {key: sorted(graph.get(key).parent_keys - LEFT_OUT) for key in wanted}
        self.on_gpu = ON_GPU.resolve(graph)
        stand_ins = [self._asset(key, graph.get(key).automation_condition) for key in self.parents]
        self.defs = dg.Definitions(assets=stand_ins)
        self.job = self.defs.resolve_implicit_global_asset_job_def()
        instance.add_dynamic_partitions(AUTHORS.name or "", [MINE])
        asked = cache(instance.get_dynamic_partitions)  # a tick asks thousands of times, and the daemon caches it, too
        instance.get_dynamic_partitions = asked  # pyright: ignore[reportAttributeAccessIssue]

    def _asset(self, key: dg.AssetKey, condition: dg.AutomationCondition | None) -> dg.AssetsDefinition:
        @dg.asset(
            key=key, deps=self.parents[key], partitions_def=AUTHORS, code_version="1", automation_condition=condition
        )
        def stand_in() -> None: ...

        return stand_in

    def _content(self, key: dg.AssetKey) -> str:
        said = [self.held[parent] for parent in self.parents[key]] or [str(self.written)]
        return content_id(key.to_user_string(), *said)

    def write(self) -> None:
        """Something new of the author comes in."""
        self.written += 1
        self.make(keys.raw("api"))

    def make(self, *wanted: dg.AssetKey) -> None:
        """What a run would report that makes these."""
        for key in wanted:
            self.made.append(key)
            if key in self.failing:
                self._fail(key)
                continue
            self.held[key] = self._content(key)
            tags = {DATA_VERSION_TAG: self.held[key]}
            self.instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=MINE, tags=tags))

    def _fail(self, key: dg.AssetKey) -> None:
        run = self.instance.create_run_for_job(
            self.job.get_subset(asset_selection={key}),
            asset_selection=frozenset({key}),
            tags={PARTITION_TAG: MINE},
            status=dg.DagsterRunStatus.STARTED,
        )
        self.instance.report_run_failed(run)

    def settle(self) -> Counter[dg.AssetKey]:
        """What both sensors make until a tick of both asks for nothing; each runs what it asks for at once."""
        start, before = len(self.made), -1
        while before < len(self.made):
            before = len(self.made)
            for sensor in ("cpu", "gpu"):
                self._tick(sensor, [key for key in self.parents if (key in self.on_gpu) == (sensor == "gpu")])
        return Counter(self.made[start:])

    def _tick(self, sensor: str, mine: list[dg.AssetKey]) -> None:
        result = evaluate(
            defs=self.defs,
            instance=self.instance,
            asset_selection=dg.AssetSelection.assets(*mine),
            cursor=self.cursors.get(sensor),
        )
        self.cursors[sensor] = result.cursor
        self.make(*(key for key in mine if result.get_num_requested(key)))


@pytest.fixture(scope="module")
def graph() -> Iterator[Graph]:
    """A graph that was built once and rests."""
    with dg.DagsterInstance.ephemeral() as instance:
        made = Graph(instance)
        made.settle()
        made.make(keys.INTERACTIONS, keys.BLIND_TESTS)
        made.write()
        made.settle()
        assert set(made.held) == set(made.parents)
        yield made


def test_one_change_runs_every_stage_once_from_the_document_to_the_release(graph: Graph) -> None:
    """Reports ran beside the training that they were to measure, failed, and ran again."""
    graph.write()
    done = graph.settle()
    follows = set(graph.parents) - {keys.raw("api"), keys.INTERACTIONS, keys.BLIND_TESTS}
    assert done == Counter(follows)


def test_what_blind_tests_decided_is_put_to_the_gate_and_to_nothing_before_it(graph: Graph) -> None:
    graph.written += 1
    graph.make(keys.BLIND_TESTS)
    assert graph.settle() == Counter([keys.CANDIDATE, keys.CHAMPION])


def test_a_training_that_fails_stops_the_graph_there_until_there_is_new_content(graph: Graph) -> None:
    """Preference optimisation went on from the adapter of the dataset before, because its pairs had changed."""
    graph.failing = {keys.SFT_ADAPTER}
    graph.write()
    done = graph.settle()
    assert done[keys.SFT_ADAPTER] == 2, "it is tried once more"
    reports = {keys.GENERATION_REPORT, keys.STYLE_REPORT, keys.ANSWERS_REPORT}
    assert not {keys.DPO_ADAPTER, *reports, keys.CANDIDATE, keys.CHAMPION} & set(done)
    graph.failing = set()
    graph.write()
    done = graph.settle()
    assert [done[key] for key in (keys.SFT_ADAPTER, keys.DPO_ADAPTER, *sorted(reports), keys.CHAMPION)] == [1] * 6
