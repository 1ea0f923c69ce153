"""Checks on embeddings."""

import dagster as dg

from twin_assets import keys
from twin_assets.partitions import AUTHORS
from twin_resources.runtime.resources import Twin
from twin_resources.sources.base import CATEGORIES


def _complete(category: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=keys.embeddings(category),
        name="complete",
        blocking=True,
        partitions_def=AUTHORS,
        description="Every current passage has a vector of the configured model: rows in equal rows out.",
    )
    def check(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
        passages = twin.warehouse.chunks.count(context.partition_key, category)
        vectors = twin.vectors.count(context.partition_key, category)
        return dg.AssetCheckResult(passed=passages == vectors, metadata={"passages": passages, "vectors": vectors})

    return check


embedding_checks = [_complete(category) for category in CATEGORIES]
