"""``reports/monitoring``, and the two nodes that serving reports."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from twin_assets import keys
from twin_assets.metadata import OWNERS
from twin_assets.partitions import AUTHORS
from twin_resources.database import postgres
from twin_resources.forgetting.orchestration import forget_traces
from twin_resources.monitoring.summary import Summary, summarise
from twin_resources.runtime.resources import Twin
from twin_resources.storage.calls.usage import Span
from twin_resources.text.identity import content_id

CODE_VERSION = "2"

serving = dg.AssetSpec(
    keys.SERVING,
    deps=[keys.CHAMPION, *keys.EMBEDDINGS],
    group_name="monitor",
    kinds={"starlette"},
    owners=OWNERS,
    partitions_def=AUTHORS,
    description="The adapter version that the API answers with, as the API itself reports it.",
)


def _stored(key: dg.AssetKey, description: str) -> dg.AssetSpec:
    """What the API stored, of which the graph is told."""
    return dg.AssetSpec(
        key,
        group_name="monitor",
        kinds={"postgres"},
        owners=OWNERS,
        partitions_def=AUTHORS,
        description=description,
    )


interactions = _stored(
    keys.INTERACTIONS,
    "Every question, enriched prompt and answer, with readers' ratings, as the API stored them. They come "
    "of what is served, and no edge says so: adapters learn from corrections, and a graph has no circles.",
)
blind_tests = _stored(
    keys.BLIND_TESTS,
    "What readers answered in blind tests, as the API stored it. It changes here once the answers decide "
    "something: readers certainly tell a candidate from its author more readily than the champion, or as many judged "
    "it as an automatic release waits for.",
)


@dg.asset(
    key=keys.MONITORING_REPORT,
    deps=[keys.INTERACTIONS],
    group_name="monitor",
    kinds={"python"},
    owners=OWNERS,
    partitions_def=AUTHORS,
    code_version=CODE_VERSION,
    description="Requests, errors, latency, silence, support, citations and ratings of the last days, whether readers "
    "ask about other things than before, and alarms.",
)
def monitoring_report(context: dg.AssetExecutionContext, twin: Twin) -> dg.MaterializeResult:
    rules = twin.settings.monitoring
    purged = twin.interactions.purge(rules.retain_days)
    twin.blind_tests.purge(rules.retain_days)
    figures = _figures(summarise(twin.usage, Span.of_days(context.partition_key, rules.window_days), rules))
    old = datetime.now(UTC) - timedelta(days=rules.retain_days)
    forget_traces(postgres.databases(twin.settings.postgres).mlflow, context.partition_key, until=old)
    for version in twin.datasets.list(context.partition_key, "preference")[1:]:
        if version.created_at < old:  # it holds questions that are to be kept no longer
            twin.artifacts.delete(version.artifact)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(content_id("monitoring", str(sorted(figures.items(), key=lambda item: item[0])))),
        metadata={**{name: value for name, value in figures.items() if value is not None}, "purged": purged},
    )


def _figures(found: Summary) -> dict[str, Any]:
    totals, drift = found.totals, found.drift
    return {
        "interactions": totals.calls,
        "errors": totals.failed,
        "with_citations": totals.with_citations,
        "up": totals.up,
        "down": totals.down,
        "p50_ms": totals.p50_ms,
        "p95_ms": totals.p95_ms,
        "silence": totals.silence,
        "support": totals.support,
        "empty_retrievals": totals.empty,
        "versions": {each.version: each.answers for each in found.speakers},
        "drift": drift and drift.divergence,
        "drifted": drift and drift.drifted,
        "new_words": drift and (", ".join(drift.words) or "none"),
        "alarms": "; ".join(found.alarms) or "none",
    }


REPORTED = [serving, interactions, blind_tests]
"""What serving reports; nothing here makes it."""
