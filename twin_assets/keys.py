"""Every asset key, once."""

from __future__ import annotations

import dagster as dg

from twin_resources.sources.base import CATEGORIES, Category
from twin_resources.sources.registry import registry


def raw(platform: str) -> dg.AssetKey:
    """Documents as one platform gave them."""
    return dg.AssetKey(["raw", platform])


def clean(category: str) -> dg.AssetKey:
    """Snapshot 1 of a category."""
    return dg.AssetKey(["clean", category])


def chunks(category: str) -> dg.AssetKey:
    """Passages of a category."""
    return dg.AssetKey(["chunks", category])


def embeddings(category: str) -> dg.AssetKey:
    """Snapshot 2 of a category."""
    return dg.AssetKey(["embeddings", category])


def platforms() -> tuple[str, ...]:
    """Every platform that some source reads, and ``api`` for ``POST /documents``."""
    return tuple(sorted({source.platform for source in registry().values()} | {"api"}))


def raw_of(category: Category) -> tuple[dg.AssetKey, ...]:
    """The raw assets that can hold documents of a category: those with a source that yields it, and ``api``."""
    yielding = {source.platform for source in registry().values() if category in source.categories} | {"api"}
    return tuple(raw(platform) for platform in sorted(yielding))


RAW = tuple(raw(platform) for platform in platforms())
CLEAN = tuple(clean(category) for category in CATEGORIES)
CHUNKS = tuple(chunks(category) for category in CATEGORIES)
EMBEDDINGS = tuple(embeddings(category) for category in CATEGORIES)

INSTRUCT = dg.AssetKey(["datasets", "instruct"])
PREFERENCE = dg.AssetKey(["datasets", "preference"])
RETRIEVAL = dg.AssetKey(["datasets", "retrieval"])
RERANKER = dg.AssetKey(["models", "reranker"])
SEARCH = dg.AssetKey(["models", "search"])
DPO_ADAPTER = dg.AssetKey(["models", "dpo_adapter"])
SFT_ADAPTER = dg.AssetKey(["models", "sft_adapter"])
RETRIEVAL_REPORT = dg.AssetKey(["reports", "retrieval"])
GENERATION_REPORT = dg.AssetKey(["reports", "generation"])
SILENCE_REPORT = dg.AssetKey(["reports", "silence"])
ANSWERS_REPORT = dg.AssetKey(["reports", "answers"])
STYLE_REPORT = dg.AssetKey(["reports", "style"])
MONITORING_REPORT = dg.AssetKey(["reports", "monitoring"])
CANDIDATE = dg.AssetKey(["release", "candidate"])
CHAMPION = dg.AssetKey(["release", "champion"])
SERVING = dg.AssetKey(["serving"])
INTERACTIONS = dg.AssetKey(["interactions"])
BLIND_TESTS = dg.AssetKey(["blind_tests"])
