"""Checks on snapshot 1."""

import dagster as dg

from twin_assets import keys
from twin_assets.partitions import AUTHORS
from twin_resources.runtime.resources import Twin
from twin_resources.sources.base import CATEGORIES

MIN_KEPT_SHARE = 0.95
MIN_KEPT_IN_ALL = 0.99


def _words_kept(category: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=keys.clean(category),
        name="words_kept",
        blocking=True,
        partitions_def=AUTHORS,
        description=f"Every document keeps at least {MIN_KEPT_SHARE:.0%} of its words outside page furniture, and all "
        f"together {MIN_KEPT_IN_ALL:.0%}; a lossy cleaning must not reach training.",
    )
    def check(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
        rows = twin.warehouse.clean_documents(context.partition_key, category)
        lossy = [row for row in rows if row["kept_share"] < MIN_KEPT_SHARE]
        words = sum(row["words"] for row in rows)
        kept = sum(row["words"] * row["kept_share"] for row in rows) / words if words else 1.0
        return dg.AssetCheckResult(
            passed=not lossy and kept >= MIN_KEPT_IN_ALL,
            description="; ".join(f"{row['url']} keeps {row['kept_share']:.1%}" for row in lossy[:10]) or None,
            metadata={"documents": len(rows), "lossy": len(lossy), "kept_in_all": round(kept, 4)},
        )

    return check


clean_checks = [_words_kept(category) for category in CATEGORIES]
