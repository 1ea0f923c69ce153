"""The prose of Markdown: what a person wrote in sentences, in one typography, cut into pieces of equal length.

Code, tables, quotations, headings, addresses and markup are left out. Quotation marks, dashes and spaces are put into
one form, because they tell the platform that a text was published on rather than its author.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from twin_resources.style.masking import WORD
from twin_resources.text.sentences import sentences
from twin_resources.text.units import units

SHORT, LONG = 100, 250
"""Words of a text from which on it is judged, and of one that is judged as well as it gets."""

_INLINE_CODE = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.S)
_IMAGE = re.compile(r"!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])")
_LINK = re.compile(r"\[([^\]]*)\](?:\([^)\s]*(?:\s+[^)]*)?\)|\[[^\]]*\])")
_ADDRESS = re.compile(r"<?\b(?:https?://|www\.)\S+|\S+@\S+\.\w+|\[\^[^\]]+\]:?|\[\d{1,3}\]")
_TAG = re.compile(r"<!--.*?-->|</?[A-Za-z][^<>]*>|\{\{.*?\}\}|\{%.*?%\}|\{:[^}]*\}|^:::.*$", re.S | re.M)
_DEFINITION = re.compile(r"^ {0,3}\[[^\]]+\]:.*$", re.M)
_ESCAPED = re.compile(r"\\([^\w\s])")
_EMPHASIS = re.compile(r"(?<!\w)[*_]{1,3}(?=\S)|(?<=\S)[*_]{1,3}(?!\w)|~~")
_BULLET = re.compile(r"^\s*(?:[-*+]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?")
_FORMS = str.maketrans({
    "‘": "'", "’": "'", "‛": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "…": "...",
    "–": "—", "―": "—", "\u00a0": " ", "\u200b": "", "\ufeff": "", "\u00ad": "",
})  # fmt: skip
_DASH = re.compile(r"\s*—\s*|\s+-{1,3}\s+|(?<=\w)-{2,3}(?=\w)")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True)
class Chunk:
    """About :data:`LONG` words of an author; ``short`` is its beginning of about :data:`SHORT` words. It stands in the
    document of row ``first``, or where that is too short in those up to ``last``."""

    short: str
    rest: str
    first: int
    last: int

    @property
    def text(self) -> str:
        """All of it."""
        return f"{self.short} {self.rest}"


def word_count(text: str) -> int:
    """Words of plain text; ``don't`` is one."""
    return len(WORD.findall(text))


def sentences_of(markdown: str) -> list[str]:
    """The sentences and list items of Markdown in order, as plain text."""
    return [text for text, _, _ in located(markdown)]


def located(markdown: str) -> list[tuple[str, int, int]]:
    """(plain text, start, end) of each sentence and list item, where ``markdown[start:end]`` is how it was written."""
    found = []
    for unit in units(markdown):
        if unit.kind not in ("sentence", "item"):
            continue
        written = markdown[unit.start : unit.end]
        if unit.kind == "item":
            spans = [(unit.start + first, unit.start + last) for first, last in sentences(written)]
        else:
            spans = [(unit.start, unit.end)]
        for start, end in spans:
            text = plain(markdown[start:end])
            if word_count(text):
                found.append((text, start, end))
    return found


def plain(markdown: str) -> str:
    """A sentence of Markdown without markup, code and addresses, in one typography."""
    return _bare(markdown, code=" ")


def readable(markdown: str) -> str:
    """A sentence as :func:`plain` gives it, with the words of code in it, for people to read."""
    return _bare(markdown, code=r"\2")


def _bare(markdown: str, *, code: str) -> str:
    """``markdown`` without markup; ``code`` takes the place of inline code, whose words are its second group."""
    text = _BULLET.sub("", markdown)
    text = _IMAGE.sub(" ", _TAG.sub(" ", _DEFINITION.sub(" ", text)))
    text = _INLINE_CODE.sub(code, _LINK.sub(r"\1", text))
    text = _EMPHASIS.sub("", _ESCAPED.sub(r"\1", _ADDRESS.sub(" ", text)))
    text = _DASH.sub(" — ", text.translate(_FORMS))
    return re.sub(r"\s+([.,;:!?)])", r"\1", " ".join(text.split()))


def chunks(documents: Iterable[str], *, most: int | None = None) -> list[Chunk]:
    """Chunks of documents of Markdown; what of a document is too short for one is joined to what follows.

    Args:
        most: keep so many at most, evenly spread over all.
    """
    found: list[Chunk] = []
    pending: list[str] = []
    words = row = 0
    for number, markdown in enumerate(documents):
        pieces = sentences_of(markdown)
        size = sum(map(word_count, pieces))
        if words + size < LONG:
            row = row if pending else number
            pending += pieces
            words += size
            continue
        row = row if pending else number
        found += _cut([*pending, *pieces], row, number)
        words = 0
        pending = []
    if most is not None and len(found) > most:
        step = len(found) / most
        found = [found[int(index * step)] for index in range(most)]
    return found


def parts(pieces: Sequence[str], size: int) -> list[list[int]]:
    """The places of sentences in stretches of ``size`` words or more; what is left at the end is joined to the last."""
    found: list[list[int]] = [[]]
    words = 0
    for place, piece in enumerate(pieces):
        if words >= size:
            found.append([])
            words = 0
        found[-1].append(place)
        words += word_count(piece)
    if len(found) > 1 and words < size:
        rest = found.pop()
        found[-1] += rest
    return found


def disordered(text: str, seed: int) -> str:
    """``text`` with the words of every sentence in a drawn order: its words without its grammar."""
    dice = random.Random(seed)
    shuffled = []
    for sentence in _SENTENCE.split(text):
        words = sentence.split()
        dice.shuffle(words)
        shuffled.append(" ".join(words))
    return " ".join(shuffled)


def _cut(pieces: Sequence[str], document: int, last: int) -> list[Chunk]:
    """Whole chunks of sentences."""
    found: list[Chunk] = []
    short: list[str] = []
    rest: list[str] = []
    first = total = 0
    for piece in pieces:
        size = word_count(piece)
        total += size
        if first < SHORT:
            short.append(piece)
            first += size
        else:
            rest.append(piece)
        if total >= LONG and rest:
            found.append(Chunk(" ".join(short), " ".join(rest), document, last))
            short, rest, first, total = [], [], 0, 0
    return found
