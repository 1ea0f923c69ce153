"""Checks on passages."""

from itertools import groupby

import dagster as dg

from twin_assets import keys
from twin_assets.partitions import AUTHORS
from twin_resources.retrieval.embedder import TokenCounter
from twin_resources.runtime.resources import Twin
from twin_resources.sources.base import CATEGORIES


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
        texts = {row["id"]: row["text"] for row in twin.warehouse.clean_documents(context.partition_key, category)}
        limit = TokenCounter.of(twin.settings).limit
        broken, over = [], 0
        rows = twin.warehouse.chunks(context.partition_key, category)
        for key, group in groupby(rows, key=lambda row: row["clean_document_id"]):
            passages = list(group)
            text = texts.pop(key, None)
            over += sum(passage["tokens"] > limit for passage in passages)
            if text is None or "".join(passage["text"] for passage in passages) != text:
                broken.append(passages[0]["url"])
        broken += [f"document without passages: {key}" for key, text in texts.items() if text]
        return dg.AssetCheckResult(
            passed=not broken and not over,
            description="; ".join(broken[:10]) or None,
            metadata={"passages": len(rows), "over_limit": over, "broken_documents": len(broken)},
        )

    return check


chunk_checks = [_nothing_lost(category) for category in CATEGORIES]
