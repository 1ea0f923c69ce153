"""Preference pairs without readers: the author's own text is chosen over what a model answers to the same prompt.

Self-play fine-tuning (SPIN, Chen et al. 2024, arXiv:2401.01335) makes its pairs so. Two things would teach the wrong
lesson, and are kept out: a rejected answer that is as good by our own measures, and lengths that tell which is which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import product

import numpy as np

from twin_assets.dataset.generators.answering import ANSWER, SILENCE
from twin_assets.dataset.generators.preference import PreferencePair
from twin_assets.dataset.samples import QUESTION, InstructSample
from twin_resources.config.datasets import RejectedOrigin
from twin_resources.quality import form, hygiene
from twin_resources.quality.samples import Sample
from twin_resources.rag import prompt
from twin_resources.rag.support import plain, support
from twin_resources.style.metrics import auc
from twin_resources.text.identity import bucket, content_id, share_of
from twin_resources.text.sentences import sentences
from twin_resources.text.words import plain_words

FEWEST_WORDS = 8
"""A shorter answer shows no manner."""
MOST_ALIKE = 0.8
"""Share of words in the same order from which on two answers are nearly the same."""
UNEVEN = 0.25
"""By how much of the longer one the lengths of a pair may differ."""
BALANCED = 0.03
"""How far from one half the AUC of lengths may be."""


@dataclass(frozen=True)
class Speaker:
    """Whose answers are rejected: a base model, by itself or with the adapter ``version``."""

    origin: RejectedOrigin
    base: str
    version: str | None = None

    @property
    def name(self) -> str:
        """What the metadata says of it."""
        return self.version or self.base


@dataclass(frozen=True)
class Prompted:
    """A sample whose instruction is put to a model; ``id`` is what the answer is kept under."""

    id: str
    sample: InstructSample
    speaker: Speaker


def plan(
    samples: Iterable[InstructSample], speakers: Sequence[Speaker], count: int, *, author: str, max_tokens: int
) -> list[Prompted]:
    """The training samples whose instructions are put to models: ``count`` of them, drawn by hash, the speakers in
    turn. Those that show passages are left out, those whose answer a model wrote, and those that repeat another."""
    if not speakers:
        return []
    trained = [each for each in samples if each.split == "train" and not each.paraphrase_of]
    taught = [each for each in trained if each.kind not in (ANSWER, SILENCE, QUESTION)]
    drawn = sorted(taught, key=lambda each: (share_of(f"pair/{each.id}"), each.id))[:count]
    found = []
    for place, sample in enumerate(drawn):
        speaker = speakers[place % len(speakers)]
        said = (sample.instruction, author, prompt.CODE_VERSION, speaker.base, speaker.version or "", max_tokens)
        found.append(Prompted(content_id("rejected", *said), sample, speaker))
    return found


def pairs(
    prompted: Iterable[Prompted], answers: Mapping[str, str], sources: Mapping[str, str], dropped: Counter[str]
) -> list[PreferencePair]:
    """The pairs whose rejected answer is the worse one, with lengths that tell nothing.

    Args:
        answers: what models wrote, by the id of what they were asked.
        sources: texts of passages by chunk id.
        dropped: counts the others by reason.
    """
    made = []
    for each in prompted:
        if each.id not in answers:
            dropped["unanswered"] += 1
            continue
        reason, pair = _pair(each, answers[each.id], sources.get(each.sample.chunk_ids[0], each.sample.answer))
        if pair:
            made.append(pair)
        else:
            dropped[reason] += 1
    return balanced(made, dropped)


def _pair(asked: Prompted, answer: str, source: str) -> tuple[str, PreferencePair | None]:
    """The pair of a sample and an answer, or why there is none."""
    sample = asked.sample
    lengths = _even(asked.id, _endings(sample.answer), _endings(answer))
    if not lengths:
        return "uneven_length" if _endings(answer) else "degenerate", None
    chosen, rejected = sample.answer[: lengths[0]].strip(), answer[: lengths[1]].strip()
    if reason := _unfit(sample.instruction, chosen, rejected, source):
        return reason, None
    made = PreferencePair(
        id=content_id("pair", sample.instruction, chosen, rejected, asked.speaker.name),
        prompt=sample.instruction,
        chosen=chosen,
        rejected=rejected,
        trace_id="",
        rejected_from=asked.speaker.origin,
        rejected_by=asked.speaker.name,
        document_id=sample.document_id,
        url=sample.url,
        chunk_id=sample.chunk_ids[0],
        whole=chosen == sample.answer.strip() and rejected == answer.strip() and _is_closed(rejected),
    )
    return "", made


def _unfit(instruction: str, chosen: str, rejected: str, source: str) -> str:
    """Why an answer is no worse than what the author wrote, or nothing that may be shown; empty where it is fit."""
    sample = Sample(0, instruction, rejected)
    if any(flag.check != form.LENGTH.name for flag in form.inspect(sample, ())):
        return "degenerate"
    if any(True for _ in hygiene.inspect(sample)):
        return "unclean"
    mine, theirs = plain_words(chosen), plain_words(rejected)
    if SequenceMatcher(None, mine, theirs, autojunk=False).ratio() >= MOST_ALIKE:
        return "nearly_the_same"
    if supported(rejected, source) >= supported(chosen, source):
        return "supported_as_well"
    return ""


def supported(text: str, source: str) -> float:
    """The share of the sentences of a text that the passage supports."""
    found = [text[start:end] for start, end in sentences(text)] or [text]
    said = [each for each in found if plain(each)]
    return sum(support(each, [source]).supported for each in said) / max(1, len(said))


def _endings(text: str) -> list[tuple[int, int]]:
    """Where sentences of a text end, with the words up to there, of at least :data:`FEWEST_WORDS`."""
    ends = [end for _, end in sentences(text)]
    if ends and not _is_closed(text[: ends[-1]]):
        ends = ends[:-1] or ends  # a model that had no more room stops in the middle of a sentence
    counted = ((end, len(text[:end].split())) for end in ends)
    return [(end, words) for end, words in counted if words >= FEWEST_WORDS]


def _is_closed(text: str) -> bool:
    """Whether a text ends as sentences do."""
    return text.rstrip().endswith((".", "!", "?", "…", "”", '"', ")", "`"))


def _even(key: str, chosen: Sequence[tuple[int, int]], rejected: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """Where to cut both, so that they are about as long as each other and as long as can be; which of them is the
    longer one is drawn by hash, where there is a choice."""
    longer = bucket(f"longer/{key}", 2)
    fits = [
        (one, other)
        for one, other in product(chosen, rejected)
        if abs(one[1] - other[1]) <= UNEVEN * max(one[1], other[1])
    ]
    drawn = [each for each in fits if each[0][1] != each[1][1] and (each[0][1] > each[1][1]) == bool(longer)]
    best = max(drawn or fits, key=lambda each: min(each[0][1], each[1][1]), default=None)
    return (best[0][0], best[1][0]) if best else None


def balanced(made: Sequence[PreferencePair], dropped: Counter[str]) -> list[PreferencePair]:
    """Pairs whose lengths tell nothing: of the side that is longer too often, those that differ most are left out."""
    kept = list(made)
    while kept and abs((told := length_auc(kept)) - 0.5) > BALANCED:
        sign = 1 if told > 0.5 else -1
        worst = max(kept, key=lambda each: (sign * _difference(each), each.id))
        kept.remove(worst)
        dropped["length_balance"] += 1
    return kept


def length_auc(pairs: Sequence[PreferencePair]) -> float:
    """How well length alone tells chosen from rejected: the probability that a chosen text has more words than a
    rejected one; one half where there are none."""
    if not pairs:
        return 0.5
    chosen, rejected = (
        np.array([len(text.split()) for text in texts])
        for texts in ([each.chosen for each in pairs], [each.rejected for each in pairs])
    )
    return auc(chosen, rejected)


def _difference(pair: PreferencePair) -> int:
    return len(pair.chosen.split()) - len(pair.rejected.split())
