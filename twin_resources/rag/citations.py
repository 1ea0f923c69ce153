"""Tying an answer back to its passages: which sentence rests on which, and the words that show it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twin_resources.rag.prompt import Passage
from twin_resources.retrieval.search import Hit
from twin_resources.text.sentences import CODE, MARKER, sentences
from twin_resources.text.words import content_words

SUPPORT = 0.6
"""A sentence rests on a passage when the passage has at least this share of its content words, and
:data:`SHARED_WORDS` of them. A marker that the model wrote itself needs half of both."""

SHARED_WORDS = 3


@dataclass(frozen=True)
class Cited:
    """An answer with markers, and what each marker stands for; ``grounded`` says whether there is any."""

    answer: str
    citations: list[dict[str, Any]]

    @property
    def grounded(self) -> bool:
        """Whether at least one sentence rests on a passage."""
        return bool(self.citations)


def cite(answer: str, passages: Sequence[Passage]) -> Cited:
    """Put markers such as ``[1]`` behind the sentences that a passage supports, and list what they stand for.

    A marker the model wrote stays where its passage supports the sentence at all; one that names no passage, or one
    that has nothing to do with the sentence, is taken out. A sentence without a marker gets that of the passage that
    has most of its content words, from :data:`SUPPORT` on. Code is left as it is.

    Args:
        passages: as the model saw them, from :meth:`Rag.context`; each knows the hit it comes from.
    """
    words = {passage.marker: content_words(f"{passage.title}\n{passage.text}") for passage in passages}
    claims: dict[int, list[str]] = {}
    out: list[str] = []
    position = 0
    for start, end in sentences(answer):
        out.append(answer[position:start])
        position = end
        sentence, written = _without_markers(answer[start:end])
        content = content_words(CODE.sub(" ", sentence))
        markers = [marker for marker in written if marker in words and _supports(content, words[marker], 0.5)]
        if not markers:
            best = max(words, key=lambda marker: (len(content & words[marker]), -marker), default=None)
            if best is not None and _supports(content, words[best]):
                markers = [best]
        for marker in markers:
            claims.setdefault(marker, []).append(sentence)
        out.append(_mark(sentence, markers))
    out.append(answer[position:])
    citations = [
        _citation(passage, passage.hit, " ".join(claims[passage.marker]))
        for passage in sorted(passages, key=lambda passage: passage.marker)
        if passage.marker in claims and passage.hit is not None
    ]
    return Cited("".join(out).strip(), citations)


def _citation(passage: Passage, hit: Hit, claim: str) -> dict[str, Any]:
    """A citation as it is sent and stored."""
    return {
        "marker": passage.marker,
        "chunk_id": hit.chunk_id,
        "document_id": hit.document_id,
        "title": hit.title,
        "url": hit.url,
        "platform": hit.platform,
        "quote": quote(passage.text, claim),
    }


def quote(passage: str, claim: str) -> str:
    """The sentence of ``passage``, verbatim, that shares most with ``claim`` for its length."""
    wanted = content_words(claim)
    best, best_score = "", -1.0
    for start, end in sentences(passage, inside_code=True):
        sentence = passage[start:end].strip()
        content = content_words(sentence)
        score = 2 * len(wanted & content) / (len(wanted) + len(content)) if content else 0.0
        if sentence and score > best_score:
            best, best_score = sentence, score
    return best


def _without_markers(sentence: str) -> tuple[str, list[int]]:
    """The sentence without its markers, and the numbers they had; what looks like one in code stays."""
    code = [match.span() for match in CODE.finditer(sentence)]
    found: list[int] = []

    def take(match: re.Match[str]) -> str:
        if any(begin <= match.start() < stop for begin, stop in code):
            return match.group()
        found.extend(int(number) for number in re.findall(r"\d+", match.group(1)))
        return ""

    return MARKER.sub(take, sentence), list(dict.fromkeys(found))


def _mark(sentence: str, markers: Sequence[int]) -> str:
    if not markers:
        return sentence
    marks = "".join(f"[{marker}]" for marker in sorted(markers))
    body = sentence.rstrip(".!?…")
    if not body:
        return sentence
    return f"{body} {marks}{sentence[len(body) :]}"


def _supports(sentence: set[str], passage: set[str], share: float = 1.0) -> bool:
    shared = len(sentence & passage)
    return shared >= max(1, SHARED_WORDS * share) and shared >= SUPPORT * share * len(sentence)
