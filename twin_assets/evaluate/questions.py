"""Questions whose answer is known, made from the author's own work without a language model.

``reworded`` questions are the inverse cloze task (Lee et al. 2019, arXiv:1906.00300): a sentence of a document, without
the words that its title and headings hold, asks for the rest of that document; the sentence itself may not answer it.
Evidence for them is spread as for questions of readers, so the threshold of silence is calibrated on them.
``heading`` questions are the author's headings. ``rated`` ones were asked by readers, who praised the answer.
``elsewhere`` are about what hardly any author here writes of.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from twin_resources.storage.calls.interactions import Interaction
from twin_resources.storage.chunk_store import Chunk
from twin_resources.text.identity import content_id, share_of
from twin_resources.text.units import units
from twin_resources.text.words import STOP_WORDS, WORD, content_words, plain_words

Kind = Literal["reworded", "heading", "rated", "elsewhere"]

CODE_VERSION = "2"
_FEWEST_WORDS, _MOST_WORDS = 8, 30
_FEWEST_LEFT = 3


@dataclass(frozen=True)
class Question:
    """A question of one kind. ``document_id`` is the document that answers it, None where none does; ``without`` is
    the sentence it was made of, which may not answer it."""

    id: str
    kind: Kind
    text: str
    document_id: str | None = None
    without: str | None = None


def is_for_calibration(document_id: str) -> bool:
    """Which half of the documents thresholds are set on; figures are reported on the other."""
    return share_of(f"silence/{document_id}") < 0.5


def reworded(chunks: Iterable[Chunk], limit: int) -> list[Question]:
    """Up to ``limit`` questions made of sentences, spread evenly over them by hash."""
    return _some(_reworded(chunks), limit)


def headings(
    chunks: Iterable[Chunk], limit: int, of: Callable[[str], bool] = lambda document_id: True
) -> list[Question]:
    """Up to ``limit`` questions that are headings of at least three words. One that stands in several documents, as a
    table of contents does or what an author closes with, asks for none of them.

    Args:
        chunks: of all documents.
        of: says by its id whether a document is asked about.
    """
    return _some((each for each in _headings(chunks) if each.document_id and of(each.document_id)), limit)


def rated(answers: Iterable[Interaction]) -> list[Question]:
    """Questions of readers, once each; what answers them is the first document that the praised answer named."""
    found: dict[str, Question] = {}
    for each in answers:
        first = next((cited for cited in each.citations if cited.get("cited")), None)
        if first is not None and first.get("document_id"):
            key = content_id("question", "rated", each.asked, first["document_id"])
            found.setdefault(each.asked.casefold(), Question(key, "rated", each.asked, first["document_id"]))
    return list(found.values())


def elsewhere(limit: int | None = None) -> list[Question]:
    """Questions about what hardly any author of software writes of, in a fixed order."""
    lines = (Path(__file__).parent / "off_corpus.txt").read_text(encoding="utf-8").splitlines()
    return [Question(content_id("question", "elsewhere", line), "elsewhere", line) for line in lines if line][:limit]


def _some(questions: Iterable[Question], limit: int) -> list[Question]:
    return heapq.nsmallest(limit, questions, key=lambda each: (hashlib.sha256(each.id.encode()).digest(), each.text))


def _reworded(chunks: Iterable[Chunk]) -> Iterator[Question]:
    for chunk in chunks:
        if chunk.category == "code":
            continue
        named = content_words(" ".join((chunk.title, *chunk.heading)))
        for unit in units(chunk.text):
            sentence = chunk.text[unit.start : unit.end]
            if unit.kind not in ("sentence", "item") or not _FEWEST_WORDS <= len(sentence.split()) <= _MOST_WORDS:
                continue
            words = [match.group() for match in WORD.finditer(sentence)]
            left = [word for word in words if word.casefold() not in STOP_WORDS and not content_words(word) & named]
            if len(content_words(" ".join(left))) >= _FEWEST_LEFT:
                key = content_id("question", "reworded", chunk.id, sentence)
                yield Question(key, "reworded", " ".join(left), chunk.document_id, sentence)


def _headings(chunks: Iterable[Chunk]) -> Iterator[Question]:
    found: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for chunk in chunks:
        if chunk.category == "posts" or not chunk.heading:
            continue
        words = tuple(plain_words(chunk.heading[-1]))
        if len(WORD.findall(chunk.heading[-1])) >= _FEWEST_LEFT:
            found[words].setdefault(chunk.document_id, chunk.heading[-1])
    for documents in found.values():
        if len(documents) == 1:
            (place,) = documents.items()
            yield Question(content_id("question", "heading", *place), "heading", place[1], place[0])
