"""Checks on snapshot 1."""

import dagster as dg

from twin_assets import keys
from twin_assets.partitions import AUTHORS
from twin_resources.runtime.resources import Twin
from twin_resources.sources.base import CATEGORIES

MIN_KEPT_SHARE = 0.95
MIN_KEPT_IN_ALL = 0.99
_SHOWN = 10


def _words_kept(category: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=keys.clean(category),
        name="words_kept",
        blocking=True,
        partitions_def=AUTHORS,
        description=f"Every document keeps at least {MIN_KEPT_SHARE:.0%} of its words outside page boilerplate, and "
        f"all together {MIN_KEPT_IN_ALL:.0%}; a lossy cleaning must not reach training.",
    )
    def check(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
        store, author_id = twin.warehouse.clean, context.partition_key
        totals = store.totals(author_id, category)
        count, lossy = store.lossy(author_id, category, MIN_KEPT_SHARE, _SHOWN)
        return dg.AssetCheckResult(
            passed=not count and totals.kept_in_all >= MIN_KEPT_IN_ALL,
            description="; ".join(f"{url} keeps {share:.1%}" for url, share in lossy) or None,
            metadata={
                "documents": totals.documents,
                "lossy": count,
                "kept_in_all": round(totals.kept_in_all, 4),
            },
        )

    return check


clean_checks = [_words_kept(category) for category in CATEGORIES]
