"""Other people's words inside an author's text.

Quotations, embedded posts and what is passed on stay in the clean text as Markdown block quotes; that is their mark.
Whoever learns from the text leaves them out with :func:`quoted` or :func:`own_part`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt

from twin_resources.text.words import PLAIN_WORD

_MARKDOWN = MarkdownIt("commonmark").enable("table")

Span = tuple[int, int]


def quoted(text: str) -> list[Span]:
    """Where block quotes stand in Markdown ``text``, as ``[start, end)`` in characters, in order and apart."""
    if ">" not in text:
        return []
    starts = [0, *(match.end() for match in re.finditer("\n", text)), len(text)]
    found: list[Span] = []
    for token in _MARKDOWN.parse(text):
        if token.type == "blockquote_open" and token.map:
            start, end = starts[token.map[0]], starts[min(token.map[1], len(starts) - 1)]
            if not found or start >= found[-1][1]:
                found.append((start, end))
    return found


def own_part(start: int, end: int, quotes: Sequence[Span]) -> list[Span]:
    """The parts of ``[start, end)`` that are in none of ``quotes``."""
    parts, at = [], start
    for opens, closes in quotes:
        if closes <= start or opens >= end:
            continue
        if opens > at:
            parts.append((at, opens))
        at = max(at, closes)
    if at < end:
        parts.append((at, end))
    return parts


def quoted_words(text: str) -> int:
    """How many words of ``text`` stand in block quotes."""
    return sum(len(PLAIN_WORD.findall(text[start:end])) for start, end in quoted(text))
