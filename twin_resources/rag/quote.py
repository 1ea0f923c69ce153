"""An answer composed of the author's own sentences, verbatim; no language model writes a word of it.

Every unit of the passages found (a sentence, a list item, a block of code) is scored for the question: by its own
vector, by that of its neighbours and its passage, by the question's words, and by the kind of answer that is wanted.
The best runs of neighbouring units are taken, a list stays a list, a block of code stays whole, and a sentence that
leans on the one before it brings that one along.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from twin_resources.rag.intent import Intent, intent_of
from twin_resources.rag.query import subject
from twin_resources.retrieval.sentences import Sentences
from twin_resources.text.units import Unit
from twin_resources.text.words import content_words

MOST_WORDS = 140
"""Of an answer, code and lists aside."""
_MOST_RUNS = 3
_LONGEST_RUN = 4
_LONGEST_LIST = 12
_OWN, _NEAR, _PASSAGE, _WORDS = 0.60, 0.10, 0.16, 0.12
_FOUND = 0.8
"""Weight of how well search found the passage. Search sees whole passages, by meaning and by words, and is right about
them more often than the vector of a single sentence is."""
_SHORT, _SHORT_WORDS = 0.1, 10
"""Taken from a unit of fewer words, the more the shorter it is, where the one to begin with is chosen."""
_KEEP = 0.84
"""A further run must score at least this share of the best."""
_KEEP_SHORT = 0.6
"""The same, while little has been said."""
_KEEP_ELSEWHERE = 0.9
"""The same for a run of a document that nothing was taken from yet: a second one is mostly beside the point."""
_SAME = 0.86
_FEWEST_WORDS = 24
"""A run that is shorter brings its neighbours along: one short sentence says little on its own."""
_ORPHAN = 0.08
_REPEATS = 0.2
"""For a unit that holds no word which the question does not hold: it says the question again."""
_SAID = 0.3
"""For a unit that an earlier answer quoted: who asks further wants to know something else."""
_QUOTES = "*_“\"'("
_REFERS = re.compile(r"\]\((?:https?:|/)|\bI wrote (?:about|up)\b|\bas in my\b", re.I)
_LEANING = re.compile(
    r"^(?:and|but|so|not|it|its|this|that|these|those|they|them|he|she|his|her|then|there|such|both|neither|which|instead|also|"
    r"still|yet|or|nor|because|therefore|however|the (?:former|latter|same|other)|das|dies|es|und|aber|so)\b",
    re.I,
)
_POINTING = re.compile(
    r"^(?:i|we|you|they|he|she)(?:['’]\w+)?\s+(?:\w+\s+){1,2}(?:it|them|this|these|those)\b|"
    r"\b(?:all|any|none|most) of (?:this|that|it)\b",
    re.I,
)
"""Sentences that point to what was said before within their first words, or to the whole of it."""
_BACK = re.compile(
    r"^(?:this|that|these|those|both|neither|the (?:former|latter|same|other))\b|^there (?:are|were) \w+:$", re.I
)
"""Sentences whose first words stand for something named before, also where a paragraph begins with them."""
_NUMBER = re.compile(
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred|thousand)\b",
    re.I,
)
_COUNTS = ("two", "three", "four", "five", "six")
_ANNOUNCING = re.compile(
    rf"\b({'|'.join(_COUNTS)}|[2-6])\s+(?:[\w-]+\s+){{0,2}}(?:things|properties|reasons|steps|rules|ways|questions|parts|"
    r"kinds|types|points|ideas|tips|options|cases|problems|lessons|principles|stages|methods|advantages|differences|"
    r"levels|speeds|mistakes|conditions|signs|answers|tests)[.:]$",
    re.I,
)
_DATE = re.compile(
    r"\b(?:19|20)\d\d\b|\b(?:january|february|march|april|may|june|july|august|september|october|november|december)\b",
    re.I,
)
_REASON = re.compile(
    r"\b(?:because|since|so that|reason|therefore|which is why|otherwise|weil|denn|parce que|porque)\b", re.I
)
_DEFINING = re.compile(r"\b(?:is|are|means|stands for|refers to|is called|ist|sind|est|sont|es|son)\b", re.I)


class Found(Protocol):
    """What a search gave: a passage with its text and how near it is to the question."""

    chunk_id: str
    document_id: str
    category: str
    text: str
    score: float
    scores: dict[str, float]


@dataclass(frozen=True)
class Quotation:
    """A run of units of one passage: ``text[start:end]`` of the passage at ``index``, and how well it answers."""

    index: int
    start: int
    end: int
    units: tuple[Unit, ...]
    score: float

    def sentences(self, text: str) -> list[str]:
        """The units as text, one by one."""
        return [text[unit.start : unit.end] for unit in self.units]


@dataclass(frozen=True)
class _Scored:
    """The units of one passage with a score each, what is taken from it to begin with a unit, and what the passage
    itself counts for."""

    index: int
    text: str
    units: Sequence[Unit]
    vectors: np.ndarray
    scores: np.ndarray
    short: np.ndarray
    found: float


def compose(
    question: str, vector: np.ndarray, hits: Sequence[Found], sentences: Mapping[str, Sentences], *, said: str = ""
) -> list[Quotation]:
    """The runs that answer ``question``, in the order in which they are read; none where the passages hold no unit.

    Args:
        vector: the question's, shape ``(dimensions,)``.
        hits: passages, best first.
        sentences: by chunk id, from :class:`SentenceIndex`.
        said: what earlier answers of the conversation said.
    """
    intent = intent_of(question)
    best = max((hit.score for hit in hits), default=0.0) or 1.0
    scored = [
        _score(index, hit, sentences[hit.chunk_id], question, vector, intent, max(0.0, hit.score / best), said)
        for index, hit in enumerate(hits)
    ]
    runs = sorted((run for each in scored for run in _runs(each, intent)), key=lambda run: (-run.score, run.index))
    chosen: list[Quotation] = []
    words = 0
    for run in runs:
        if len(chosen) == _MOST_RUNS:
            break
        enough = _KEEP if words >= _FEWEST_WORDS else _KEEP_SHORT
        if chosen and run.score < enough * chosen[0].score:
            break
        documents = {hits[other.index].document_id for other in chosen}
        if chosen and hits[run.index].document_id not in documents and run.score < _KEEP_ELSEWHERE * chosen[0].score:
            continue
        mine = scored[run.index]
        size = sum(len(text.split()) for unit, text in _texts(mine, run) if unit.kind == "sentence")
        repeats = any(
            (run.index == other.index and run.start < other.end and other.start < run.end)
            or _alike(mine, run, scored[other.index], other)
            for other in chosen
        )
        if not repeats and (not chosen or words + size <= MOST_WORDS):
            chosen.append(run)
            words += size
    return _in_reading_order(chosen, hits)


def _score(
    index: int, hit: Found, found: Sentences, question: str, vector: np.ndarray, intent: Intent, rank: float, said: str
) -> _Scored:
    texts = [hit.text[unit.start : unit.end] for unit in found.units]
    if not texts:
        return _Scored(index, hit.text, (), np.zeros((0, len(vector))), np.zeros(0), np.zeros(0), 0.0)
    own = found.vectors @ vector
    padded = np.pad(own, 1, mode="edge")
    near = (padded[:-2] + padded[2:]) / 2
    wanted = content_words(subject(question))
    covered = np.array([len(wanted & content_words(text)) / max(1, len(wanted)) for text in texts])
    repeated = np.array([bool(wanted) and content_words(text) <= wanted for text in texts])
    passage = float(hit.scores.get("dense", 0.0))
    scores = _OWN * own + _NEAR * near + _PASSAGE * passage + _WORDS * covered
    scores += np.array([_bonus(unit, text, intent, hit) for unit, text in zip(found.units, texts, strict=True)])
    scores -= _REPEATS * repeated
    scores -= _SAID * np.array([text in said for text in texts])
    short = _SHORT * np.array([max(0.0, 1 - len(text.split()) / _SHORT_WORDS) for text in texts])
    blocks = [unit.block for unit in found.units]
    opens = np.array([place == 0 or blocks[place - 1] != block for place, block in enumerate(blocks)])
    scores -= _ORPHAN * np.array([_leaning(text) for text in texts]) * opens
    return _Scored(index, hit.text, found.units, found.vectors, scores, short, _FOUND * rank)


def _bonus(unit: Unit, text: str, intent: Intent, hit: Found) -> float:
    if unit.kind == "heading":
        return -1.0
    if intent == "code":
        return 0.10 if unit.kind == "code" or hit.category == "code" else -0.02
    if unit.kind == "code" or hit.category == "code":
        return -0.10
    if unit.kind == "table":
        return -0.04
    if unit.kind == "quotation":
        return -0.06
    bonus = 0.0
    if _REFERS.search(text):
        bonus -= 0.20
    if text.rstrip().endswith("?"):
        bonus -= 0.10
    if intent == "steps" and unit.kind == "item":
        bonus += 0.05
    if intent in ("steps", "number") and text.rstrip("*_ ").endswith(":"):
        bonus += 0.06
    if intent == "number" and _NUMBER.search(text):
        bonus += 0.06
    if intent == "date" and _DATE.search(text):
        bonus += 0.06
    if intent == "reason" and _REASON.search(text):
        bonus += 0.04
    if intent == "definition" and _DEFINING.search(text):
        bonus += 0.02
    return bonus


def _runs(mine: _Scored, intent: Intent) -> list[Quotation]:
    """Runs around the best units of a passage, grown while their neighbours are nearly as good."""
    found: list[Quotation] = []
    taken: set[int] = set()
    begin = mine.scores - mine.short
    for place in np.argsort(-begin, kind="stable")[:3]:
        if int(place) in taken or mine.units[place].kind == "heading":
            continue
        first, last = _grown(mine, int(place), intent)
        if taken & set(range(first, last + 1)):
            continue
        taken |= set(range(first, last + 1))
        units = tuple(mine.units[first : last + 1])
        score = float(begin[place]) + mine.found
        found.append(Quotation(mine.index, units[0].start, units[-1].end, units, score))
    return found


def _grown(mine: _Scored, place: int, intent: Intent) -> tuple[int, int]:
    units, scores = mine.units, mine.scores
    kind, block = units[place].kind, units[place].block
    if kind == "item":
        return _list_around(mine, place)
    if kind in ("code", "table", "quotation"):
        return (place - 1 if _leads_in(mine, place - 1) else place), place
    first = last = place
    floor = 0.72 * scores[place]
    while last - first + 1 < _LONGEST_RUN:
        before = scores[first - 1] if first > 0 and _same_prose(units, first - 1, block) else -1.0
        after = scores[last + 1] if last + 1 < len(units) and _same_prose(units, last + 1, block) else -1.0
        if max(before, after) < floor:
            break
        if after >= before:
            last += 1
        else:
            first -= 1
    while last - first + 1 < _LONGEST_RUN and _words_of(mine, first, last) < _FEWEST_WORDS:
        if last + 1 < len(units) and _same_prose(units, last + 1, block) and scores[last + 1] >= 0.4 * scores[place]:
            last += 1
        elif first > 0 and _same_prose(units, first - 1, block) and scores[first - 1] >= 0.4 * scores[place]:
            first -= 1
        else:
            break
    first = _led_up_to(mine, first, last)
    last = _announced(mine, last)
    if _leads_in(mine, last) and last + 1 < len(units):
        following = units[last + 1].kind
        if following == "item":
            return first, _list_around(mine, last + 1)[1]
        if following in ("code", "table", "quotation") or intent == "code":
            return first, last + 1
    return first, last


def _led_up_to(mine: _Scored, first: int, last: int) -> int:
    """Where a run begins with what its first sentence leans on, which may close the paragraph before."""
    units = mine.units
    while first > 0 and last - first < _LONGEST_RUN and _leans(mine, first) and units[first - 1].kind == "sentence":
        if units[first - 1].block != units[first].block and not _BACK.match(_plain(mine, first)):
            break
        first -= 1
    return first


def _announced(mine: _Scored, last: int) -> int:
    """The last of the sentences that ``last`` announces by their number, as in "has three properties."."""
    unit = mine.units[last]
    found = _ANNOUNCING.search(mine.text[unit.start : unit.end].rstrip("*_ "))
    if unit.kind != "sentence" or found is None:
        return last
    many = _COUNTS.index(found.group(1).casefold()) + 2 if found.group(1).isalpha() else int(found.group(1))
    end = last
    while end - last < many and end + 1 < len(mine.units) and _same_prose(mine.units, end + 1, unit.block):
        end += 1
    return end


def _words_of(mine: _Scored, first: int, last: int) -> int:
    return len(mine.text[mine.units[first].start : mine.units[last].end].split())


def _list_around(mine: _Scored, place: int) -> tuple[int, int]:
    """The whole list that an item stands in where it is short, else the items near it; with the line that leads in."""
    block = mine.units[place].block
    first = last = place
    while first > 0 and mine.units[first - 1].block == block:
        first -= 1
    while last + 1 < len(mine.units) and mine.units[last + 1].block == block:
        last += 1
    if last - first + 1 > _LONGEST_LIST:
        first, last = max(first, place - 2), min(last, place + 2)
    if not _leads_in(mine, first - 1):
        return first, last
    return _led_up_to(mine, first - 1, first), last


def _same_prose(units: Sequence[Unit], place: int, block: int) -> bool:
    return units[place].kind == "sentence" and units[place].block == block


def _leans(mine: _Scored, place: int) -> bool:
    return _leaning(_plain(mine, place))


def _plain(mine: _Scored, place: int) -> str:
    """A unit without the marks around it."""
    unit = mine.units[place]
    return mine.text[unit.start : unit.end].strip(_QUOTES)


def _leaning(text: str) -> bool:
    """Whether a sentence says little without the one before it."""
    plain = text.lstrip(_QUOTES)
    return bool(_LEANING.match(plain) or _POINTING.search(plain))


def _leads_in(mine: _Scored, place: int) -> bool:
    if place < 0:
        return False
    unit = mine.units[place]
    return unit.kind == "sentence" and mine.text[unit.start : unit.end].rstrip("*_ ").endswith(":")


def _texts(mine: _Scored, run: Quotation) -> list[tuple[Unit, str]]:
    return [(unit, mine.text[unit.start : unit.end]) for unit in run.units]


def _alike(one: _Scored, first: Quotation, two: _Scored, second: Quotation) -> bool:
    """Whether two runs say nearly the same, by their best units."""
    mine, theirs = (
        each.vectors[[each.units.index(unit) for unit in run.units]].mean(axis=0)
        for each, run in ((one, first), (two, second))
    )
    norm = float(np.linalg.norm(mine) * np.linalg.norm(theirs))
    return norm > 0 and float(mine @ theirs) / norm > _SAME


def _in_reading_order(chosen: Sequence[Quotation], hits: Sequence[Found]) -> list[Quotation]:
    """The best run first; those of one document together, in the order in which they stand in it."""
    documents = list(dict.fromkeys(hits[run.index].document_id for run in chosen))
    return sorted(chosen, key=lambda run: (documents.index(hits[run.index].document_id), run.index, run.start))
