"""Once a day, what nothing refers to any more is deleted."""

import dagster as dg

from twin_resources.forgetting.garbage import collect_garbage
from twin_resources.runtime.resources import Twin


@dg.op(description="Deletes artifacts without a row, abandoned trainings and old log messages, after a grace period.")
def delete_garbage(context: dg.OpExecutionContext, twin: Twin) -> None:
    found = collect_garbage(twin.settings, twin.engine)
    context.log.info(
        f"{len(found.artifacts)} artifacts, {len(found.folders)} folders, {found.events} log messages and "
        f"{found.answers} answers of repeated writes deleted"
    )


@dg.job(executor_def=dg.in_process_executor, tags={"queue": "cpu"})
def garbage() -> None:
    """What ``twin clean`` does."""
    delete_garbage()


daily = dg.ScheduleDefinition(job=garbage, cron_schedule="30 4 * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
