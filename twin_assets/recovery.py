"""Assets whose run lost its process are asked for again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from twin_assets.automation import ASK_AGAIN, NO_RUN_RETRY
from twin_assets.partitions import PARTITION_TAG
from twin_resources.runtime.resources import AUTOMATIC, STARTED_BY

TRIES = "twin/tries_after_loss"
"""The tag of a run that says how often its assets were asked for again."""
PAUSES = (*ASK_AGAIN, ASK_AGAIN[-1])
"""How long after a loss its assets are asked for again. What kills its process each time, a training that takes all the
memory for one, is left alone after the last of them, until there is new content."""
_REMEMBERED = timedelta(days=1)
_RUNS = 200


def requests(instance: dg.DagsterInstance, graph: AssetGraph, now: datetime) -> Iterator[dg.RunRequest]:
    """Runs for what the automation sensors asked for in vain, because the process of the run was killed, the code
    server was gone, or the machine went down.

    Their condition tries a failure again once, whatever it was, and then waits for new content: right for an asset that
    fails, but two losses in a row, neither of them its fault, would leave the graph standing still. What a later run
    took up is not asked for, nor what has an input that failed a blocking check.
    """
    since = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.FAILURE], tags={STARTED_BY: AUTOMATIC}, created_after=now - _REMEMBERED
    )
    failed = instance.get_runs(since, limit=_RUNS)
    for author in sorted({run.tags[PARTITION_TAG] for run in failed if PARTITION_TAG in run.tags}):
        taken: set[dg.AssetKey] = set()
        of_author = dg.RunsFilter(tags={PARTITION_TAG: author}, created_after=now - _REMEMBERED)
        for record in instance.get_run_records(of_author, limit=_RUNS):
            run = record.dagster_run
            wanted = sorted((run.asset_selection or frozenset()) - taken)
            taken.update(wanted)
            tries = int(run.tags.get(TRIES, 0))
            if not wanted or tries >= len(PAUSES) or not _is_lost(instance, run):
                continue
            ended = record.update_timestamp
            if ended > now - PAUSES[tries]:
                continue
            wanted = [key for key in wanted if not _made(instance, key, author, ended)]
            if wanted and _inputs_passed(instance, graph, wanted, author):
                tags = {"queue": run.tags.get("queue", "cpu"), STARTED_BY: AUTOMATIC, **NO_RUN_RETRY}
                yield dg.RunRequest(
                    run_key=f"lost {run.run_id}",
                    partition_key=author,
                    asset_selection=wanted,
                    tags={**tags, TRIES: str(tries + 1)},
                )


def _is_lost(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a run of the automation sensors ended without a step of it that failed."""
    if run.status is not dg.DagsterRunStatus.FAILURE or run.tags.get(STARTED_BY) != AUTOMATIC:
        return False
    return not instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)


def _made(instance: dg.DagsterInstance, key: dg.AssetKey, author: str, after: datetime) -> bool:
    """Whether an asset of an author was materialised since, be it by `twin run`, whose runs name no assets."""
    since = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[author], after_timestamp=after.timestamp())
    return bool(instance.fetch_materializations(since, limit=1).records)


def _inputs_passed(instance: dg.DagsterInstance, graph: AssetGraph, wanted: Sequence[dg.AssetKey], author: str) -> bool:
    """Whether the blocking checks of all inputs passed when they were last evaluated."""
    inputs = {parent for key in wanted for parent in graph.get(key).parent_keys} - set(wanted)
    blocking = [check for check in graph.get_check_keys_for_assets(inputs) if graph.get(check).blocking]
    evaluated = (
        instance.event_log_storage.get_asset_check_execution_history(
            check, limit=1, partition_filter=PartitionKeyFilter(key=author)
        )
        for check in blocking
    )
    return all(latest and latest[0].status is AssetCheckExecutionRecordStatus.SUCCEEDED for latest in evaluated)


@dg.sensor(
    name="recovery",
    asset_selection=dg.AssetSelection.all(),
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks again, after a pause, for what the automation sensors started in a run that lost its process: "
    "killed, restarted, out of memory. A step that fails is tried again once by its condition, and not here.",
)
def recovery(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One tick."""
    assert context.repository_def
    found = list(requests(context.instance, context.repository_def.asset_graph, datetime.now(UTC)))
    yield from found or [dg.SkipReason("no run lost its process")]
