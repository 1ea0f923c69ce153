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

from twin_resources.rag.intent import Intent, intent_of, tells_of, term_of
from twin_resources.rag.query import subject
from twin_resources.rag.worth import bonus, leads_in, tells_nothing, worded
from twin_resources.retrieval.sentences import Sentences
from twin_resources.text import leaning
from twin_resources.text.units import Unit
from twin_resources.text.words import content_words

MOST_WORDS = 140
"""Of an answer, code and lists aside."""
_MOST_RUNS = 3
_GROWS = 0.72
"""Share of the score of the sentence that a run began with which its neighbours must have for it to grow."""
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
_KEEP_ELSEWHERE = 0.93
"""The same for a run of a document that nothing was taken from yet: a second one is mostly beside the point."""
_SAME = 0.86
_FEWEST_WORDS = 24
"""A run that is shorter brings its neighbours along: one short sentence says little on its own."""
_LEANS = 0.2
"""Taken from a run that begins with a sentence which leans on one that does not come with it."""
_BROUGHT = 3
"""Sentences, lists or blocks that a run may bring along for its first sentence to lean on."""
_GAP, _GAP_WORDS = 2, 40
"""Sentences, and words of them, between two runs of one passage that are quoted too, so that these read as one."""
_SHORT_LIST, _SHORT_CODE = 6, 12
"""Items and lines of what may be brought so."""
_GOES_ON, _GOES_ON_WORDS = 5, 60
"""Sentences and words up to which a run takes along what its paragraph goes on to say of it."""
_STILL = 0.4
"""Share of the best sentence's score that one must have which fills up a short run, or comes behind a short one."""
_SETTING_UP = 5
"""Words of a sentence up to which it may only set up the next one ("I measured it.")."""
_TO_LIST = 2
"""Sentences behind a run among which the one is looked for that leads in the list of what was asked for."""
_REPEATS = 0.2
"""For a unit that holds no word which the question does not hold: it says the question again."""
_TOLD = 0.1
"""For a sentence that the term which is asked about is the subject of ("A gate that means something has…")."""
_SAID = 0.3
"""For a unit that an earlier answer quoted: who asks further wants to know something else."""
_COUNTS = ("two", "three", "four", "five", "six")
_ANNOUNCING = re.compile(
    rf"\b({'|'.join(_COUNTS)}|[2-6])\s+(?:[\w-]+\s+){{0,2}}(?:things|properties|reasons|steps|rules|ways|questions|parts|"
    r"kinds|types|points|ideas|tips|options|cases|problems|lessons|principles|stages|methods|advantages|differences|"
    r"levels|speeds|mistakes|conditions|signs|answers|tests)[.:]$",
    re.I,
)


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
    """The units of one passage with a score each, what is added to it to begin with a unit, and what the passage itself
    counts for."""

    index: int
    text: str
    units: Sequence[Unit]
    vectors: np.ndarray
    scores: np.ndarray
    first: np.ndarray
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
        if chosen and all(tells_nothing(text) for _, text in _texts(mine, run)):
            continue
        if not repeats and (not chosen or words + size <= MOST_WORDS):
            chosen.append(run)
            words += size
    return _joined(_in_reading_order(chosen, hits), scored)


def _score(
    index: int, hit: Found, found: Sentences, question: str, vector: np.ndarray, intent: Intent, rank: float, said: str
) -> _Scored:
    found = worded(hit.text, found)
    texts = [hit.text[unit.start : unit.end] for unit in found.units]
    if not texts:
        return _Scored(index, hit.text, (), np.zeros((0, len(vector))), np.zeros(0), np.zeros(0), 0.0)
    own = found.vectors @ vector
    padded = np.pad(own, 1, mode="edge")
    near = (padded[:-2] + padded[2:]) / 2
    wanted = content_words(subject(question))
    held = [content_words(text) for text in texts]
    covered = np.array([len(wanted & words) / max(1, len(wanted)) for words in held])
    repeated = np.array([bool(wanted) and words <= wanted for words in held])
    passage = float(hit.scores.get("dense", 0.0))
    scores = _OWN * own + _NEAR * near + _PASSAGE * passage + _WORDS * covered
    scores += np.array(
        [bonus(unit, text, intent, code=hit.category == "code") for unit, text in zip(found.units, texts, strict=True)]
    )
    scores -= _REPEATS * repeated
    scores -= _SAID * np.array([text in said for text in texts])
    first = -_SHORT * np.array([max(0.0, 1 - len(text.split()) / _SHORT_WORDS) for text in texts])
    if term := term_of(question):
        told = [unit.kind == "sentence" and tells_of(term, text) for unit, text in zip(found.units, texts, strict=True)]
        first += _TOLD * np.array(told)
    return _Scored(index, hit.text, found.units, found.vectors, scores, first, _FOUND * rank)


def _runs(mine: _Scored, intent: Intent) -> list[Quotation]:
    """Runs around the best units of a passage, grown while their neighbours are nearly as good."""
    found: list[Quotation] = []
    taken: set[int] = set()
    begin = mine.scores + mine.first
    order = np.argsort(-begin, kind="stable")[:3]
    for place in order:
        if int(place) in taken or mine.units[place].kind == "heading":
            continue
        first, last = _opened(mine, int(place), *_grown(mine, int(place), intent))
        if mine.scores[place] >= _GROWS * mine.scores[order[0]]:
            first, last = _apart(first, last, place, taken)
        if taken & set(range(first, last + 1)):
            continue
        taken |= set(range(first, last + 1))
        units = tuple(mine.units[first : last + 1])
        score = float(begin[place]) + mine.found - _LEANS * _leans(mine, first)
        found.append(Quotation(mine.index, units[0].start, units[-1].end, units, score))
    return found


def _apart(first: int, last: int, place: int, taken: set[int]) -> tuple[int, int]:
    """A run around ``place`` without what a better one of the passage took of its ends, which will stand beside it."""
    while first in taken and first < place:
        first += 1
    while last in taken and last > place:
        last -= 1
    return first, last


def _grown(mine: _Scored, place: int, intent: Intent) -> tuple[int, int]:
    units, scores = mine.units, mine.scores
    kind, block = units[place].kind, units[place].block
    if kind == "item":
        return _list_around(mine, place)
    if kind in ("code", "table", "quotation"):
        return (place - 1 if _leads_in(mine, place - 1) else place), place
    first = last = place
    floor = _GROWS * scores[place]
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
        if last + 1 < len(units) and _same_prose(units, last + 1, block) and scores[last + 1] >= _STILL * scores[place]:
            last += 1
        elif first > 0 and _same_prose(units, first - 1, block) and scores[first - 1] >= _STILL * scores[place]:
            first -= 1
        else:
            break
    last = _gone_on(mine, first, _announced(mine, last))
    if intent == "steps":
        last = _listed(mine, last)
    return first, _followed(mine, place, last)


def _gone_on(mine: _Scored, first: int, last: int) -> int:
    """The last of what a paragraph goes on to say of a run that ends with ``last``: a topic is named in one sentence
    and told in those that lean on it ("it needs…", "this is…"), or behind a short one, which hold fewer of the
    question's words."""
    enough = _STILL * mine.scores[first : last + 1].max()
    while (
        last + 1 < len(mine.units)
        and last - first + 1 < _GOES_ON
        and _same_prose(mine.units, last + 1, mine.units[last].block)
        and _words_of(mine, first, last + 1) <= _GOES_ON_WORDS
        and (
            _leans(mine, last + 1)
            or (mine.scores[last + 1] >= enough and len(_text(mine, last).split()) <= _SETTING_UP)
        )
    ):
        last += 1
    return last


def _listed(mine: _Scored, last: int) -> int:
    """The sentence that leads in a list, where the paragraph of ``last`` ends with one soon; else ``last``."""
    for place in range(last + 1, min(last + 1 + _TO_LIST, len(mine.units) - 1)):
        if not _same_prose(mine.units, place, mine.units[last].block):
            break
        if _leads_in(mine, place) and mine.units[place + 1].kind == "item":
            return place
    return last


def _followed(mine: _Scored, place: int, last: int) -> int:
    """The last of what ``last`` leads in with a colon; without that line where nothing comes behind it."""
    units = mine.units
    if not _leads_in(mine, last):
        return last
    if last + 1 == len(units) or units[last + 1].kind == "heading":
        return last - 1 if last > place else last
    return _list_around(mine, last + 1)[1] if units[last + 1].kind == "item" else last + 1


def _opened(mine: _Scored, place: int, first: int, last: int) -> tuple[int, int]:
    """A run around ``place`` so that a reader can follow its first sentence: with what that leans on, else without it
    where the run can do without; else as it was."""
    start = _led_up_to(mine, first)
    if not _leans(mine, start):
        return start, last
    return next((later for later in range(first, place + 1) if not _leans(mine, later)), first), last


def _led_up_to(mine: _Scored, first: int) -> int:
    """Where a run begins with what its first sentence leans on, which may close the paragraph before, or be the list or
    the code there."""
    units = mine.units
    for _ in range(_BROUGHT):
        if first == 0 or not _leans(mine, first):
            break
        before = units[first - 1]
        if before.block != units[first].block and not leaning.leans(_text(mine, first)):
            break
        if before.kind == "item":
            start, end = _list_around(mine, first - 1)
            if end != first - 1 or end - start > _SHORT_LIST:
                break
            first = start
        elif before.kind == "code" and _text(mine, first - 1).count("\n") <= _SHORT_CODE:
            first -= 2 if _leads_in(mine, first - 2) else 1
        elif before.kind == "sentence":
            first -= 1
        else:
            break
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
    return (first - 1 if _leads_in(mine, first - 1) else first), last


def _same_prose(units: Sequence[Unit], place: int, block: int) -> bool:
    return units[place].kind == "sentence" and units[place].block == block


def _leans(mine: _Scored, place: int) -> bool:
    text = _text(mine, place)
    return mine.units[place].kind == "sentence" and (leaning.leans(text) or leaning.points(text))


def _text(mine: _Scored, place: int) -> str:
    return mine.text[mine.units[place].start : mine.units[place].end]


def _leads_in(mine: _Scored, place: int) -> bool:
    if place < 0:
        return False
    unit = mine.units[place]
    return unit.kind == "sentence" and leads_in(mine.text[unit.start : unit.end])


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


def _joined(runs: Sequence[Quotation], scored: Sequence[_Scored]) -> list[Quotation]:
    """Runs in reading order, those that stand close together in one passage as one, with what is between them."""
    joined: list[Quotation] = []
    for run in runs:
        last = joined[-1] if joined else None
        if last is not None and last.index == run.index:
            units = scored[run.index].units
            first, behind = units.index(last.units[0]), units.index(run.units[-1]) + 1
            between = units[units.index(last.units[-1]) + 1 : units.index(run.units[0])]
            words = len(scored[run.index].text[last.end : run.start].split())
            if len(between) <= _GAP and words <= _GAP_WORDS and all(unit.kind == "sentence" for unit in between):
                last = joined.pop()
                run = Quotation(run.index, last.start, run.end, tuple(units[first:behind]), max(last.score, run.score))
        joined.append(run)
    return joined
