"""Leaving out samples that the quality checks have something against, each with its reason."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from twin_assets.dataset.checked import as_checked
from twin_assets.dataset.samples import InstructSample
from twin_resources.quality import duplicates, form, inspection, leaks
from twin_resources.quality.likeness import Likeness
from twin_resources.quality.samples import Spool
from twin_resources.quality.sources import Sources
from twin_resources.retrieval.embedder import Encode

_LANGUAGE_TEXTS = 200
_QUIET = frozenset({form.LENGTH.name})
"""Checks that only warn of a sample."""


def languages_of(texts: Iterable[str]) -> frozenset[str]:
    """The languages that an author writes in, by some hundred texts."""
    found = form.Languages()
    every = list(texts)
    for text in every[:: max(1, len(every) // _LANGUAGE_TEXTS)]:
        found.add(text)
    return found.main


def fit(
    samples: Sequence[InstructSample],
    languages: Collection[str],
    dropped: Counter[str],
    encode: Encode | None = None,
    *,
    looked_at: Collection[str] = (),
    against: Mapping[str, str] = MappingProxyType({}),
) -> list[InstructSample]:
    """The samples that nothing is against: by themselves, beside the others of their split, and over the splits.

    What shows a passage whose own sample is left out goes with it, as nothing would say where the passage is from, and
    so does what repeats in other words a sample that is left out.

    Args:
        dropped: counts what is left out by the name of the check.
        encode: embeds texts, so that paraphrases with few words in common are found as well.
        looked_at: ids of samples that are known to be right by themselves.
        against: reasons by the id of a sample that is left out whatever the checks say.
    """
    none = Sources(())
    kept: list[InstructSample] = []
    gone: set[str] = set()

    def drop(sample: InstructSample, reason: str) -> None:
        dropped[reason] += 1
        if not sample.passages:
            gone.add(sample.chunk_ids[0])

    for sample in samples:
        flags = [] if sample.id in looked_at else inspection.alone(as_checked(sample), none, languages)
        reason = against.get(sample.id) or next((flag.check for flag in flags if flag.check not in _QUIET), None)
        if reason is None:
            kept.append(sample)
        else:
            drop(sample, reason)
    for row, reason in sorted(_beside_others(kept, encode).items()):
        drop(kept[row], reason)
        kept[row] = _GONE
    found = []
    there = {sample.id for sample in kept}
    standing = (each for each in kept if each is not _GONE and not each.paraphrase_of)
    gone -= {sample.chunk_ids[0] for sample in standing if not sample.passages}
    for sample in kept:
        if sample is _GONE:
            continue
        if sample.passages and gone.intersection(sample.chunk_ids):
            dropped["passage_left_out"] += 1
        elif sample.paraphrase_of and sample.paraphrase_of not in there:
            dropped["original_left_out"] += 1
        else:
            found.append(sample)
    return found


_GONE = InstructSample("", "train", "", "", "", "", (), "", "", ())


def _beside_others(samples: Sequence[InstructSample], encode: Encode | None) -> dict[int, str]:
    """Rows of samples that repeat one of their split, and of held-out ones that training holds, with the check."""
    found: dict[int, str] = {}
    with Spool() as spool, Likeness() as likeness:
        for index, sample in enumerate(samples):
            each = as_checked(sample, index)
            spool.add(each)
            likeness.add(each)
        pairs = list(likeness.pairs(spool, encode))
        stands = array("f", bytes(4 * len(samples)))  # all of it is the author's, so the earlier one is kept
        for row, keep, pair in duplicates.repeats(pairs, spool.splits, stands):
            if keep not in found:
                found.setdefault(row, duplicates.BY_KIND[pair.kind].name)
        for leak in leaks.find(spool, pairs):
            if leak.trained is None or leak.trained not in found:
                found.setdefault(leak.held_out, leak.check.name)
    return found
