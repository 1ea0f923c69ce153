"""Finding orders to a language model that hide in text (indirect prompt injection, Greshake et al. 2023,
arXiv:2302.12173).

An order sets aside what models are steered by, in any of some fifteen languages, or it addresses the model itself,
gives it another role, or asks for what it was told. Text about such orders names them in quotation marks or code; that
is how an article on the subject is told from an attack.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass
from importlib import resources

from twin_resources.quality.sources import INVISIBLE

_TAGS = re.compile("[\U000e0020-\U000e007e]{4,}")
_COMMENT = re.compile(r"<!--(.*?)-->", re.S)
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.S)
_QUOTE = re.compile(r"[“«„][^”»“\n]{0,300}[”»“]|(?<!\w)\"[^\"\n]{0,300}\"(?!\w)")


@dataclass(frozen=True)
class _Order:
    """A pattern of orders, and pieces of text of which it needs one; looking for those is quick."""

    kind: str
    pieces: tuple[str, ...]
    pattern: re.Pattern[str]


def injected(text: str) -> str:
    """The first order to a model that ``text`` holds, and what it is; empty where there is none.

    Text in invisible tag characters is one whatever it says. An order that stands in quotation marks or code inside a
    longer text is told about, not given.
    """
    if hidden := _TAGS.search(text):
        said = "".join(chr(ord(letter) - 0xE0000) for letter in hidden.group())
        return f"text in invisible characters: “{_short(said)}”"
    plain = INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    told = [match.span() for pattern in (_CODE, _QUOTE) for match in pattern.finditer(plain)]
    low = plain.casefold()
    for order in _orders():
        if any(piece in low for piece in order.pieces):
            for match in order.pattern.finditer(plain):
                if not _is_told(match.start(), match.end(), told, plain):
                    return f"{order.kind}: “{_short(match.group())}”"
    return ""


@functools.cache
def _orders() -> tuple[_Order, ...]:
    found, kind = [], "an order to set instructions aside"
    text = resources.files(__package__ or "").joinpath("injections.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line == "---":
            kind = "an order to a model"
        elif line and not line.startswith("#"):
            pieces, pattern = line.split("\t")
            found.append(_Order(kind, tuple(pieces.split("|")), re.compile(pattern, re.I)))
    return tuple(found)


def _is_told(start: int, end: int, told: list[tuple[int, int]], text: str) -> bool:
    """Whether ``text[start:end]`` lies in a quotation or code that is a small part of the text."""
    return any(first < start and end < last and last - first < 0.5 * len(text) for first, last in told)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:79] + "…"
