"""Tying what a model wrote back to its passages: which sentence rests on which, and the author's words that show it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from twin_resources.rag.prompt import Passage
from twin_resources.rag.support import SUPPORTED, support
from twin_resources.text.sentences import CODE, MARKER, sentences
from twin_resources.text.words import content_words


@dataclass(frozen=True)
class Sentence:
    """One sentence, list item or block of code of an answer, how far it is supported, and by which citations."""

    text: str
    support: float
    markers: tuple[int, ...] = ()

    @property
    def supported(self) -> bool:
        """Whether a reader may take it for the author's."""
        return self.support >= SUPPORTED

    @property
    def marked(self) -> str:
        """The sentence with its markers, in front of the sign that ends it."""
        if not self.markers:
            return self.text
        body = self.text.rstrip(".!?…")
        marks = "".join(f"[{marker}]" for marker in self.markers)
        return f"{body} {marks}{self.text[len(body) :]}" if body else self.text


@dataclass(frozen=True)
class Citation:
    """What a marker stands for: a passage, and the words of it that carry the answer, verbatim."""

    marker: int
    chunk_id: str
    document_id: str
    title: str
    url: str
    platform: str
    quote: str


def checked(sentence: str, passages: Sequence[Passage]) -> Sentence:
    """A sentence held against the passages, without the markers that the model wrote.

    It gets those of them whose passages support it, else the marker of the passage that supports it best; none where
    no passage does, so that no marker claims what is not so.
    """
    plain, written = _without_markers(sentence)
    scores = {passage.marker: support(plain, [passage.text]).score for passage in passages}
    best = max(scores.values(), default=0.0)
    markers = [marker for marker in written if scores.get(marker, 0.0) >= SUPPORTED]
    if not markers and best >= SUPPORTED:
        markers = [min(marker for marker, score in scores.items() if score == best)]
    return Sentence(plain, best, tuple(sorted(markers)))


_NEWS = 3
"""Content words that a sentence must have beyond the question's to tell anything."""


def tells(sentence: str, question: str) -> bool:
    """Whether a sentence says more than the question does; one that only says it again has support, and no use."""
    return len(content_words(sentence) - content_words(question)) >= _NEWS


def checked_sentences(text: str, passages: Sequence[Passage]) -> list[Sentence]:
    """Every sentence and block of code of ``text``, checked, in order."""
    return marked(text, passages)[1]


def marked(text: str, passages: Sequence[Passage]) -> tuple[str, list[Sentence]]:
    """``text`` as it was written, with the markers that are right, and its sentences and blocks of code, checked.

    Blocks of code carry no marker, and what looks like one in them stays.
    """
    blocks = {match.span() for match in CODE.finditer(text) if match.group().startswith("```")}
    out: list[str] = []
    said: list[Sentence] = []
    position = 0
    for start, end in sorted([*sentences(text), *blocks]):
        made = checked(text[start:end], passages)
        out += [text[position:start], text[start:end] if (start, end) in blocks else made.marked]
        said.append(made)
        position = end
    return "".join([*out, text[position:]]).strip(), said


def citations(said: Iterable[Sentence], passages: Sequence[Passage]) -> list[Citation]:
    """What the markers of sentences stand for, by number; a passage that no search found is no source.

    The quotation of each is the sentences of the passage, verbatim, that are nearest to what was said of it.
    """
    claims: dict[int, list[str]] = {}
    for each in said:
        for marker in each.markers:
            claims.setdefault(marker, []).append(each.text)
    return [
        Citation(
            marker=passage.marker,
            chunk_id=passage.hit.chunk_id,
            document_id=passage.hit.document_id,
            title=passage.hit.title,
            url=passage.hit.url,
            platform=passage.hit.platform,
            quote=" … ".join(dict.fromkeys(nearest(passage.text, claim) for claim in claims[passage.marker])),
        )
        for passage in sorted(passages, key=lambda passage: passage.marker)
        if passage.marker in claims and passage.hit is not None
    ]


def nearest(passage: str, claim: str) -> str:
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
