"""``reports/monitoring``, and the two nodes that serving reports."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from twin_assets import keys
from twin_assets.metadata import OWNERS
from twin_assets.monitor.report import summarise
from twin_assets.partitions import AUTHORS
from twin_resources.database import postgres
from twin_resources.forgetting.orchestration import forget_traces
from twin_resources.runtime.resources import Twin
from twin_resources.text.identity import content_id

CODE_VERSION = "1"

serving = dg.AssetSpec(
    keys.SERVING,
    deps=[keys.CHAMPION, *keys.EMBEDDINGS],
    group_name="monitor",
    kinds={"starlette"},
    owners=OWNERS,
    partitions_def=AUTHORS,
    description="The adapter version that the API answers with, as the API itself reports it.",
)

interactions = dg.AssetSpec(
    keys.INTERACTIONS,
    group_name="monitor",
    kinds={"postgres"},
    owners=OWNERS,
    partitions_def=AUTHORS,
    description="Every question, enriched prompt and answer, with readers' ratings, as the API stored them. They come "
    "of what is served, and no edge says so: adapters learn from corrections, and a graph has no circles.",
)


@dg.asset(
    key=keys.MONITORING_REPORT,
    deps=[keys.INTERACTIONS],
    group_name="monitor",
    kinds={"python"},
    owners=OWNERS,
    partitions_def=AUTHORS,
    code_version=CODE_VERSION,
    description="Requests, errors, latency, citations and ratings of the last days, with alarms.",
)
def monitoring_report(context: dg.AssetExecutionContext, twin: Twin) -> dg.MaterializeResult:
    rules = twin.settings.monitoring
    since = datetime.now(UTC) - timedelta(days=rules.window_days)
    purged = twin.interactions.purge(rules.retain_days)
    figures = summarise(twin.interactions.recent(context.partition_key, since), rules)
    old = datetime.now(UTC) - timedelta(days=rules.retain_days)
    forget_traces(postgres.databases(twin.settings.postgres).mlflow, context.partition_key, until=old)
    for version in twin.datasets.list(context.partition_key, "preference")[1:]:
        if version.created_at < old:  # it holds questions that are to be kept no longer
            twin.artifacts.delete(version.artifact)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(content_id("monitoring", str(sorted(figures.items(), key=lambda item: item[0])))),
        metadata={
            **{name: value for name, value in figures.items() if isinstance(value, int | float)},
            "versions": figures["versions"],
            "alarms": "; ".join(figures["alarms"]) or "none",
            "purged": purged,
        },
    )


REPORTED = [serving, interactions]
"""What serving reports; nothing here makes it."""
