"""Checks on passages."""

import dagster as dg

from twin_assets import keys
from twin_assets.partitions import AUTHORS
from twin_resources.retrieval.embedder import TokenCounter
from twin_resources.runtime.resources import Twin
from twin_resources.sources.base import CATEGORIES

_SHOWN = 10


def _nothing_lost(category: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=keys.chunks(category),
        name="nothing_lost",
        blocking=True,
        partitions_def=AUTHORS,
        description="The stored passages of every document join to its clean text, each at its offsets, and none is "
        "longer than the embedder reads.",
    )
    def check(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
        store, author_id = twin.warehouse.chunks, context.partition_key
        totals = store.totals(author_id, category, TokenCounter.of(twin.settings).limit)
        shown, count = [], 0
        for broken in store.broken(author_id, category):
            count += 1
            if len(shown) < _SHOWN:
                shown.append(broken)
        return dg.AssetCheckResult(
            passed=not count and not totals.over,
            description="; ".join(shown) or None,
            metadata={"passages": totals.chunks, "over_limit": totals.over, "broken_documents": count},
        )

    return check


chunk_checks = [_nothing_lost(category) for category in CATEGORIES]
