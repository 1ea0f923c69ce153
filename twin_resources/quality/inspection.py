"""All checks over one dataset, read once; what is compared between samples waits in temporary files."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from twin_resources.quality import balance, duplicates, form, grounding, hygiene, leaks
from twin_resources.quality.likeness import Likeness
from twin_resources.quality.samples import BENCHMARK, HELD_OUT, Check, Flag, Outcome, Sample, Spool, Verdict
from twin_resources.quality.sources import Sources
from twin_resources.retrieval.embedder import Encode

FAMILIES: dict[str, tuple[Check, ...]] = {
    "grounding": grounding.CHECKS,
    "citations": (grounding.CITED,),
    "duplicates": duplicates.CHECKS,
    "leaks": leaks.CHECKS,
    "hygiene": hygiene.CHECKS,
    "form": form.CHECKS,
    "balance": balance.CHECKS,
}
"""Every check by its family, in the order of reports."""

_LANGUAGE_SAMPLES = 200
"""Texts that tell the languages of a dataset, spread over it."""


@dataclass
class _Counts:
    """What was looked at while samples went by."""

    splits: Counter[str]
    grounded: int = 0
    words: int = 0
    found: int = 0
    verbatim: int = 0
    cited: int = 0
    preferences: int = 0


def inspect(
    samples: Iterable[Sample],
    sources: Sources,
    *,
    benchmarks: Iterable[Sample] = (),
    encode: Encode | None = None,
    languages: Iterable[str] = (),
) -> Verdict:
    """Check a dataset.

    Args:
        samples: read once, in order.
        sources: what it claims to be made of; grounding is skipped where there are none and a sample gives no text.
        benchmarks: samples that none of the dataset may repeat.
        encode: embeds texts, so that paraphrases with few words in common are found.
        languages: those that answers may be in; else those of most sources, or of most answers.
    """
    flags: list[Flag] = []
    counts = _Counts(Counter())
    spread = balance.Balance()
    verbatim = array("f")
    with Spool() as spool, Likeness() as likeness:
        for sample in samples:
            spool.add(sample)
        expected = frozenset(languages) or _languages(spool, sources)
        for row in range(len(spool)):
            sample = spool[row]
            flags += _alone(sample, sources, expected, counts, verbatim)
            spread.add(sample)
            likeness.add(sample)
        total = len(spool)
        for sample in benchmarks:
            spool.add(sample)
            likeness.add(sample)
            verbatim.append(0.0)
        pairs = list(likeness.pairs(spool, encode))
        within = [pair for pair in pairs if BENCHMARK not in (spool.splits[pair.first], spool.splits[pair.second])]
        flags += duplicates.inspect(within, spool.splits, verbatim, spool.__getitem__)
        flags += leaks.inspect(spool, leaks.find(spool, pairs))
        compared = len(spool) > total
    outcomes = _outcomes(flags, counts, total, bool(sources), compared)
    return Verdict(
        samples=total,
        splits=dict(counts.splits),
        outcomes=(*outcomes, *spread.outcomes()),
        flags=tuple(sorted(flags, key=lambda flag: (flag.index, flag.check))),
        measures=_measures(counts),
        notes=() if encode else ("paraphrases were looked for by words alone, without an embedding model",),
    )


def alone(sample: Sample, sources: Sources, languages: Iterable[str]) -> list[Flag]:
    """What is wrong with one sample by itself."""
    return _alone(sample, sources, frozenset(languages), _Counts(Counter()), array("f"))


def _alone(
    sample: Sample, sources: Sources, languages: frozenset[str], counts: _Counts, verbatim: array[float]
) -> list[Flag]:
    counts.splits[sample.split] += 1
    flags = [*form.inspect(sample, languages), *hygiene.inspect(sample), *grounding.citations(sample)]
    counts.cited += bool(sample.context)
    counts.preferences += sample.rejected is not None
    share = 0.0
    if sources or grounding.is_material(sample):
        found, wrong = grounding.inspect(sample, sources)
        flags += wrong
        counts.grounded += found.words > 0
        counts.words += found.words
        counts.found += found.found
        share = found.verbatim / found.words if found.words else 0.0
        counts.verbatim += found.words > 0 and found.verbatim == found.words
    verbatim.append(share)
    return flags


def _languages(spool: Spool, sources: Sources) -> frozenset[str]:
    found = form.Languages()
    texts: Iterator[str]
    if sources:
        step = max(1, len(sources) // _LANGUAGE_SAMPLES)
        texts = (sources.text(number) for number in range(0, len(sources), step))
    else:
        step = max(1, len(spool) // _LANGUAGE_SAMPLES)
        texts = (spool[row].answer for row in range(0, len(spool), step))
    for text in texts:
        found.add(text)
    return found.main


def _outcomes(flags: list[Flag], counts: _Counts, total: int, sources: bool, benchmarks: bool) -> list[Outcome]:
    flagged = Counter(check for check, _ in {(flag.check, flag.index) for flag in flags})
    held_out = sum(counts.splits[split] for split in HELD_OUT)
    looked = dict.fromkeys((check.name for family in FAMILIES.values() for check in family), total)
    skipped: dict[str, str] = {}
    if not counts.grounded:
        reason = "no answer has enough words" if sources else "no sources were given"
        skipped.update({check.name: reason for check in grounding.CHECKS})
    looked.update({check.name: counts.grounded for check in grounding.CHECKS})
    looked[grounding.CITED.name] = counts.cited
    looked[form.PREFERENCE.name] = counts.preferences
    looked.update(dict.fromkeys((leaks.INSTRUCTION.name, leaks.ANSWER.name, leaks.MEANING.name), held_out))
    looked[leaks.HOLDS.name] = total - held_out
    if not held_out or held_out == total:
        reason = "there is no held-out split" if not held_out else "there is no training split"
        skipped.update({check.name: reason for check in (leaks.INSTRUCTION, leaks.ANSWER, leaks.MEANING, leaks.HOLDS)})
    if not benchmarks:
        skipped[leaks.CONTAMINATED.name] = "no benchmark was given"
    if not counts.cited:
        skipped[grounding.CITED.name] = "no sample has passages"
    if not counts.preferences:
        skipped[form.PREFERENCE.name] = "no sample has a rejected answer"
    return [
        Outcome(
            check, 0 if check.name in skipped else looked[check.name], flagged[check.name], skipped.get(check.name, "")
        )
        for name, family in FAMILIES.items()
        if name != "balance"
        for check in family
    ]


def _measures(counts: _Counts) -> dict[str, float]:
    if not counts.grounded:
        return {}
    return {"grounded_words": counts.found / max(1, counts.words), "verbatim": counts.verbatim / counts.grounded}
