"""Checks on snapshot 1."""

import dagster as dg

from twin_assets import keys
from twin_assets.partitions import AUTHORS
from twin_resources.sources import CATEGORIES
from twin_resources.wiring import Twin

MIN_KEPT_SHARE = 0.95


def _words_kept(category: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=keys.clean(category),
        name="words_kept",
        blocking=True,
        partitions_def=AUTHORS,
        description=f"Every document keeps at least {MIN_KEPT_SHARE:.0%} of its words outside page furniture; a lossy "
        "cleaning must not reach training.",
    )
    def check(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
        rows = twin.warehouse.clean_documents(context.partition_key, category)
        lossy = [row for row in rows if row["kept_share"] < MIN_KEPT_SHARE]
        return dg.AssetCheckResult(
            passed=not lossy,
            description="; ".join(f"{row['url']} keeps {row['kept_share']:.1%}" for row in lossy[:10]) or None,
            metadata={"documents": len(rows), "lossy": len(lossy)},
        )

    return check


clean_checks = [_words_kept(category) for category in CATEGORIES]
