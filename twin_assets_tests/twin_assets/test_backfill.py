"""A backfill over several authors is a run for each, so that one author's failure leaves the others."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster_graphql.test.utils import execute_dagster_graphql

from twin_assets import keys
from twin_assets.definitions import defs
from twin_assets.partitions import AUTHORS, PARTITION_TAG

# Dagster warns of what it uses itself, here in this process
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dagster")

LAUNCH = """mutation ($assets: [AssetKeyInput!]!, $authors: [String!]) {
    launchPartitionBackfill(backfillParams: {assetSelection: $assets, partitionNames: $authors}) {
        __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""


@pytest.fixture(scope="module")
def workspace() -> Iterator[WorkspaceProcessContext]:
    """The graph beside a queue that nobody takes runs from."""
    queue = {"module": "dagster.core.run_coordinator", "class": "QueuedRunCoordinator"}
    target = LoadableTargetOrigin(module_name="twin_assets.definitions")
    load = InProcessWorkspaceLoadTarget([InProcessCodeLocationOrigin(target, location_name="twin")])
    with dg.instance_for_test(overrides={"run_coordinator": queue}) as instance:
        instance.add_dynamic_partitions(AUTHORS.name or "", ["ada", "bo", "cy"])
        with WorkspaceProcessContext(instance, load) as made:
            yield made


def backfill(
    workspace: WorkspaceProcessContext, assets: Sequence[dg.AssetKey], authors: list[str]
) -> list[dg.DagsterRun]:
    """Ask for a backfill as Dagster's page does, and let the daemon look at it; returns its runs."""
    variables = {"assets": [{"path": list(key.path)} for key in assets], "authors": authors}
    answer: Any = execute_dagster_graphql(workspace.create_request_context(), LAUNCH, variables).data
    assert answer["launchPartitionBackfill"]["__typename"] == "LaunchBackfillSuccess", answer
    list(execute_backfill_iteration(workspace, logging.getLogger(__name__)))
    mine = dg.RunsFilter(tags={"dagster/backfill": answer["launchPartitionBackfill"]["backfillId"]})
    return list(workspace.instance.get_runs(mine))


def test_a_backfill_over_two_authors_is_one_run_for_each(workspace: WorkspaceProcessContext) -> None:
    wanted = [*keys.CLEAN, *keys.CHUNKS, *keys.EMBEDDINGS, keys.INSTRUCT]
    runs = backfill(workspace, wanted, ["ada", "bo"])
    assert sorted(run.tags[PARTITION_TAG] for run in runs) == ["ada", "bo"]
    assert all(run.status is dg.DagsterRunStatus.QUEUED for run in runs)
    assert all(run.asset_selection == set(wanted) for run in runs), "each makes all of it, in its order"


def test_every_asset_has_the_policy_of_one_run_an_author() -> None:
    graph = defs.resolve_asset_graph()
    partitioned = [key for key in graph.materializable_asset_keys if graph.get(key).is_partitioned]
    assert set(keys.RAW) | {keys.SFT_ADAPTER, keys.CHAMPION} <= set(partitioned)
    assert {graph.get(key).partitions_def for key in partitioned} == {AUTHORS}
    default = dg.BackfillPolicy.multi_run(1)
    assert {graph.get(key).backfill_policy or default for key in partitioned} == {default}
