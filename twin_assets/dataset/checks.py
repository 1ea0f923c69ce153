"""The gate in front of training."""

import dagster as dg

from twin_assets import keys
from twin_assets.dataset import files
from twin_assets.dataset.answering import authors_words, misquoted
from twin_assets.dataset.instruct import LEAK
from twin_assets.dataset.samples import InstructSample
from twin_assets.partitions import AUTHORS
from twin_resources.runtime.resources import Twin
from twin_resources.text.words import grams

MIN_TRAIN_SAMPLES = 8
MIN_GROUNDING = 0.98
_PAGE = 200


def _samples(twin: Twin, author_id: str) -> dict[str, list[InstructSample]]:
    version = twin.datasets.newest(author_id, "instruct")
    if version is None:
        return {split: [] for split in files.SPLITS}
    folder = twin.artifacts.folder(version.artifact)
    return {split: files.read_samples(folder / f"{split}.parquet") for split in files.SPLITS}


@dg.asset_check(
    asset=keys.INSTRUCT,
    name="grounded",
    blocking=True,
    partitions_def=AUTHORS,
    description=f"At least {MIN_GROUNDING:.0%} of the words of all answers stand, in the same order, in the passages "
    "they claim to come from: nothing invented reaches training.",
)
def grounded(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
    found = total = 0
    samples = [sample for split in _samples(twin, context.partition_key).values() for sample in split]
    for start in range(0, len(samples), _PAGE):
        page = samples[start : start + _PAGE]
        wanted = {chunk_id for sample in page for chunk_id in sample.chunk_ids}
        texts = twin.warehouse.chunks.texts(wanted, context.partition_key)
        for sample in page:
            answer = authors_words(sample)
            source = frozenset().union(*(grams(texts.get(chunk_id, "")) for chunk_id in sample.chunk_ids))
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
    samples = _samples(twin, context.partition_key)
    documents = {sample.document_id for sample in samples["train"]}
    asked = {sample.instruction for sample in samples["train"]}
    trained = frozenset().union(*(authors_words(sample) for sample in samples["train"]))
    leaks = []
    for sample in (*samples["validation"], *samples["test"]):
        answer = authors_words(sample)
        repeats = len(answer & trained) > LEAK * max(1, len(answer))
        if sample.document_id in documents or sample.instruction in asked or repeats:
            leaks.append(sample.url)
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
    counts = {split: len(found) for split, found in _samples(twin, context.partition_key).items()}
    passed = counts["train"] >= MIN_TRAIN_SAMPLES and counts["test"] > 0 and counts["validation"] > 0
    return dg.AssetCheckResult(
        passed=passed,
        description=None if passed else "too little text to train on; import more of the author's work",
        metadata=counts,
    )


@dg.asset_check(
    asset=keys.INSTRUCT,
    name="rightly_cited",
    blocking=True,
    partitions_def=AUTHORS,
    description="Every answer from passages is made of sentences of the right one, verbatim, under its number, and "
    "silence is never taught beside the passage that answers.",
)
def rightly_cited(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
    samples = [sample for split in _samples(twin, context.partition_key).values() for sample in split]
    wrong = [f"{sample.url}: {found}" for sample in samples if (found := misquoted(sample))]
    return dg.AssetCheckResult(
        passed=not wrong,
        description="; ".join(wrong[:10]) or None,
        metadata={"wrong": len(wrong), "with_passages": sum(bool(sample.passages) for sample in samples)},
    )


dataset_checks = [grounded, no_leak, rightly_cited, enough_samples]
