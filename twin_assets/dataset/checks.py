"""The gate in front of training."""

import dagster as dg

from twin_assets import keys
from twin_assets.clean.duplicates import shingles
from twin_assets.dataset import files
from twin_assets.dataset.instruct import LEAK
from twin_assets.partitions import AUTHORS
from twin_resources.runtime.resources import Twin

MIN_TRAIN_SAMPLES = 8
MIN_GROUNDING = 0.98


def _rows(twin: Twin, author_id: str) -> dict[str, list[dict]]:
    version = twin.datasets.newest(author_id, "instruct")
    if version is None:
        return {split: [] for split in files.SPLITS}
    folder = twin.artifacts.folder(version.artifact)
    return {split: files.read(folder / f"{split}.parquet") for split in files.SPLITS}


@dg.asset_check(
    asset=keys.INSTRUCT,
    name="grounded",
    blocking=True,
    partitions_def=AUTHORS,
    description=f"At least {MIN_GROUNDING:.0%} of the words of all answers stand, in the same order, in the passages "
    "they claim to come from: nothing invented reaches training.",
)
def grounded(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
    texts = {row["id"]: row["text"] for row in twin.warehouse.chunks(context.partition_key)}
    found = total = 0
    for row in (row for rows in _rows(twin, context.partition_key).values() for row in rows):
        answer = shingles(row["answer"])
        source = frozenset().union(*(shingles(texts.get(chunk_id, "")) for chunk_id in row["chunk_ids"]))
        found += len(answer & source)
        total += len(answer)
    share = found / total if total else 1.0
    return dg.AssetCheckResult(passed=share >= MIN_GROUNDING, metadata={"grounded_share": round(share, 4)})


@dg.asset_check(
    asset=keys.INSTRUCT,
    name="no_leak",
    blocking=True,
    partitions_def=AUTHORS,
    description="No document, instruction or answer of the test split stands in training.",
)
def no_leak(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
    rows = _rows(twin, context.partition_key)
    documents = {row["document_id"] for row in rows["train"]}
    asked = {row["instruction"] for row in rows["train"]}
    grams = frozenset().union(*(shingles(row["answer"]) for row in rows["train"]))
    leaks = [
        row["url"]
        for split in ("validation", "test")
        for row in rows[split]
        if row["document_id"] in documents
        or row["instruction"] in asked
        or len(shingles(row["answer"]) & grams) > LEAK * max(1, len(shingles(row["answer"])))
    ]
    return dg.AssetCheckResult(
        passed=not leaks, description="; ".join(leaks[:10]) or None, metadata={"leaks": len(leaks)}
    )


@dg.asset_check(
    asset=keys.INSTRUCT,
    name="enough_samples",
    blocking=True,
    partitions_def=AUTHORS,
    description=f"At least {MIN_TRAIN_SAMPLES} training samples and something held out to measure on.",
)
def enough_samples(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
    counts = {split: len(rows) for split, rows in _rows(twin, context.partition_key).items()}
    passed = counts["train"] >= MIN_TRAIN_SAMPLES and counts["test"] > 0 and counts["validation"] > 0
    return dg.AssetCheckResult(
        passed=passed,
        description=None if passed else "too little text to train on; import more of the author's work",
        metadata=counts,
    )


dataset_checks = [grounded, no_leak, enough_samples]
