"""The gate in front of training: our samples through the checks that anybody's dataset goes through."""

from collections.abc import Iterator, Sequence

import dagster as dg

from twin_assets import keys
from twin_assets.dataset import files
from twin_assets.dataset.checked import as_checked
from twin_assets.dataset.generators.answering import authors_words, misquoted
from twin_assets.dataset.samples import InstructSample
from twin_assets.metadata import table
from twin_assets.partitions import AUTHORS
from twin_resources.quality import inspection
from twin_resources.quality.samples import Verdict
from twin_resources.quality.sources import Source, Sources
from twin_resources.runtime.resources import Twin
from twin_resources.storage.datasets import DatasetVersion
from twin_resources.text.words import grams

MIN_TRAIN_SAMPLES = 8
MIN_GROUNDING = 0.98
_PAGE = 200
_MOST_FLAGS = 2000
"""Flags that are written down with a version; where there are more, the gate is shut and the first of them say why."""
_COLUMNS = ("sample", "check", "reason", "instruction", "document")

_SPECS = {
    "grounded": f"At least {MIN_GROUNDING:.0%} of the words of all answers stand, in the same order, in the passages "
    "they claim to come from, with their numbers and names: nothing invented reaches training.",
    "no_leak": "No document, instruction or answer of the test split stands in training, word for word or nearly.",
    "splits_stay": "No document that is learned from was a test document of any earlier version, nor the reverse.",
    "rightly_cited": "Every answer from passages is made of sentences of the right one, verbatim, under its number, "
    "and silence is never taught beside the passage that answers.",
    "enough_samples": f"At least {MIN_TRAIN_SAMPLES} training samples and something held out to measure on.",
    "no_duplicates": "Hardly any sample repeats another of its split: word for word, nearly, or in other words.",
    "clean_text": "No secrets, personal data, control tokens or instructions to a model, and little boilerplate.",
    "well_formed": "No empty answers, hardly any in another language or unreadable.",
    "balanced": "No category, document or year makes up nearly all of it.",
}
_FAMILY = {
    "grounded": "grounding",
    "no_leak": "leaks",
    "rightly_cited": "citations",
    "no_duplicates": "duplicates",
    "clean_text": "hygiene",
    "well_formed": "form",
    "balanced": "balance",
}
"""The family of quality checks that each asset check stands for."""


@dg.multi_asset_check(
    name="quality",
    specs=[
        dg.AssetCheckSpec(
            name, asset=keys.INSTRUCT, description=says, blocking=name != "balanced", partitions_def=AUTHORS
        )
        for name, says in _SPECS.items()
    ],
)
def quality(context: dg.AssetCheckExecutionContext, twin: Twin) -> Iterator[dg.AssetCheckResult]:
    """Read the newest version once, say of it what each check says, and write that down with it."""
    version = twin.datasets.newest(context.partition_key, "instruct")
    for result in results(twin, context.partition_key):
        if version and result.check_name:
            twin.datasets.note_check(version.id, result.check_name, passed=bool(result.passed))
        yield result


def results(twin: Twin, author_id: str) -> Iterator[dg.AssetCheckResult]:
    """What each check says of the newest version of an author."""
    version = twin.datasets.newest(author_id, "instruct")
    samples = _samples(twin, version)
    every = [sample for split in files.SPLITS for sample in samples[split]]
    verdict = inspection.inspect(
        (as_checked(sample, index) for index, sample in enumerate(every)), _sources(twin, author_id, every)
    )
    share = _grounded_share(twin, author_id, every)
    wrong = [found for sample in every if (found := misquoted(sample))]
    if version:
        twin.datasets.note_flags(version.id, _flagged(verdict, every))
    leaks = _leaking_documents(samples)
    yield _result("grounded", verdict, every, share >= MIN_GROUNDING, grounded_share=round(share, 4))
    yield _result("no_leak", verdict, every, not leaks, "; ".join(leaks[:10]), leaks=_leaks(verdict) + len(leaks))
    moved = twin.datasets.changed_sides(version.id) if version else ()
    yield dg.AssetCheckResult(
        check_name="splits_stay",
        passed=not moved,
        description="; ".join(moved[:10]) or None,
        metadata={"changed_sides": len(moved)},
    )
    shown = sum(bool(sample.passages) for sample in every)
    yield _result(
        "rightly_cited", verdict, every, not wrong, "; ".join(wrong[:10]), wrong=len(wrong), with_passages=shown
    )
    counts = {split: sum(not each.paraphrase_of for each in found) for split, found in samples.items()}
    enough = counts["train"] >= MIN_TRAIN_SAMPLES and counts["test"] > 0 and counts["validation"] > 0
    yield dg.AssetCheckResult(
        check_name="enough_samples",
        passed=enough,
        description=None if enough else "too little text to train on; import more of the author's work",
        metadata=counts,
    )
    for name in ("no_duplicates", "clean_text", "well_formed", "balanced"):
        yield _result(name, verdict, every, True)


def _result(
    name: str, verdict: Verdict, samples: Sequence[InstructSample], holds: bool, says: str = "", **figures: float
) -> dg.AssetCheckResult:
    """What a family of checks found, with a table of its failures; ``holds`` is what else has to."""
    checks = {check.name for check in inspection.FAMILIES[_FAMILY[name]]}
    outcomes = [each for each in verdict.outcomes if each.check.name in checks]
    failed = [each.check.name for each in outcomes if not each.passed and (each.check.blocking or name == "balanced")]
    flags = [flag for flag in verdict.flags if flag.check in checks]
    rows = [
        {
            "sample": samples[flag.index].id,
            "check": flag.check,
            "reason": flag.reason,
            "instruction": samples[flag.index].instruction,
            "document": samples[flag.index].url,
        }
        for flag in flags
    ]
    shares = {each.check.name: round(each.share, 4) for each in outcomes if not each.skipped}
    return dg.AssetCheckResult(
        check_name=name,
        passed=holds and not failed,
        severity=dg.AssetCheckSeverity.WARN if name == "balanced" else dg.AssetCheckSeverity.ERROR,
        description="; ".join(part for part in (", ".join(failed), says) if part) or None,
        metadata={**figures, **shares, **({"failures": table(rows, _COLUMNS)} if rows else {})},
    )


def _flagged(verdict: Verdict, samples: Sequence[InstructSample]) -> list[dict[str, str]]:
    """What checks have against single samples, for those who review them."""
    return [
        {"sample": samples[flag.index].id, "check": flag.check, "reason": flag.reason}
        for flag in verdict.flags[:_MOST_FLAGS]
    ]


def _samples(twin: Twin, version: DatasetVersion | None) -> dict[str, list[InstructSample]]:
    if version is None:
        return {split: [] for split in files.SPLITS}
    folder = twin.artifacts.folder(version.artifact)
    return {split: files.read_samples(folder / f"{split}.parquet") for split in files.SPLITS}


def _sources(twin: Twin, author_id: str, samples: Sequence[InstructSample]) -> Sources:
    """The passages that samples were made of, by document."""
    wanted: dict[str, tuple[str, dict[str, None]]] = {}
    for sample in samples:
        wanted.setdefault(sample.document_id, (sample.url, {}))[1][sample.chunk_ids[0]] = None

    def documents() -> Iterator[Source]:
        for document_id, (url, chunk_ids) in wanted.items():
            texts = twin.warehouse.chunks.texts(chunk_ids, author_id)
            text = "\n\n".join(texts[chunk_id] for chunk_id in chunk_ids if chunk_id in texts)
            yield Source("", text, (url, document_id))

    return Sources(documents())


def _grounded_share(twin: Twin, author_id: str, samples: Sequence[InstructSample]) -> float:
    """Of the 5-grams of all answers, those that stand in the passages they claim to come from."""
    found = total = 0
    for start in range(0, len(samples), _PAGE):
        page = samples[start : start + _PAGE]
        wanted = {chunk_id for sample in page for chunk_id in sample.chunk_ids}
        texts = twin.warehouse.chunks.texts(wanted, author_id)
        for sample in page:
            answer = authors_words(sample)
            source = frozenset().union(*(grams(texts.get(chunk_id, "")) for chunk_id in sample.chunk_ids))
            found += len(answer & source)
            total += len(answer)
    return found / total if total else 1.0


def _leaking_documents(samples: dict[str, list[InstructSample]]) -> list[str]:
    """Addresses of held-out documents that training has samples of."""
    trained = {sample.document_id for sample in samples["train"]}
    held_out = (*samples["validation"], *samples["test"])
    return sorted({sample.url for sample in held_out if sample.document_id in trained})


def _leaks(verdict: Verdict) -> int:
    """Held-out samples that training holds."""
    names = {check.name for check in inspection.FAMILIES["leaks"]} - {"holds_held_out"}
    return len({flag.index for flag in verdict.flags if flag.check in names})


dataset_checks = [quality]
