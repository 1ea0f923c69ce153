"""What a passage is made of, as a reader quotes it: sentences, list items, code blocks, tables, quotations.

Markdown only as far as quoting needs it: nothing is rewritten, every unit is a span of the text.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

from twin_resources.text.sentences import sentences

CODE_VERSION = "3"

Kind = Literal["sentence", "item", "code", "table", "quotation", "heading"]

_PROSE = frozenset({".md", ".markdown", ".mdx", ".rst", ".txt", ".ipynb"})
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+\S")
_ITEM = re.compile(r"^ {0,3}(?:[-*+]|\d{1,3}[.)])[ \t]+\S")
_CONTINUED = re.compile(r"^(?: {2,}|\t)\S")
_QUOTATION = re.compile(r"^ {0,3}>")
_TABLE = re.compile(r"^ {0,3}\|.*\|[ \t]*$")
_INDENTED = re.compile(r"^(?: {4}|\t)[ \t]*(?![-*+][ \t]|\d{1,3}[.)][ \t])\S")
_WRAPPED = range(50, 111)
"""How long the lines of a paragraph are that was broken by a program, and not where its author broke it."""
_RULE = re.compile(r"^ {0,3}(?:[-*_][ \t]*){3,}$")


@dataclass(frozen=True)
class Unit:
    """A span of a text: ``text[start:end]``; units of one list or paragraph share their ``block``."""

    kind: Kind
    start: int
    end: int
    block: int


@dataclass(frozen=True)
class _Line:
    start: int
    text: str


def is_source_code(category: str, url: str) -> bool:
    """Whether the text at ``url`` is a program, and not one of the documents that stand in a repository beside it."""
    path = PurePosixPath(urlsplit(url).path)
    return category == "code" and path.suffix.lower() not in _PROSE and path.name.lower() != "readme"


def units(text: str, *, source_code: bool = False) -> list[Unit]:
    """The units of ``text`` in order; white space and thematic breaks belong to none.

    Args:
        text: Markdown, or a part of a program, which is one unit: its lines mean little one by one.
    """
    if source_code:
        return [_span("code", text, 0, len(text), 1)] if text.strip() else []
    found: list[Unit] = []
    lines = _lines(text)
    index = block = 0
    while index < len(lines):
        line = lines[index].text
        if not line.strip() or _RULE.match(line):
            index += 1
            continue
        block += 1
        if fence := _FENCE.match(line):
            end = _fence_end(lines, index, fence.group(1))
            found.append(_span("code", text, lines[index].start, _end(lines, end), block))
        elif _INDENTED.match(line) and not (found and found[-1].kind == "item"):
            end = _indented_end(lines, index)
            found.append(_span("code", text, lines[index].start, _end(lines, end), block))
        elif _HEADING.match(line):
            end = index + 1
            found.append(_span("heading", text, lines[index].start, _end(lines, end), block))
        elif _QUOTATION.match(line) or _TABLE.match(line):
            pattern, kind = (_QUOTATION, "quotation") if _QUOTATION.match(line) else (_TABLE, "table")
            end = index
            while end < len(lines) and pattern.match(lines[end].text):
                end += 1
            found.append(_span(kind, text, lines[index].start, _end(lines, end), block))
        elif _ITEM.match(line):
            end = _list_end(lines, index)
            found += _items(text, lines[index:end], block)
        else:
            end = _paragraph_end(lines, index)
            start, stop = lines[index].start, _end(lines, end)
            found += [
                Unit("sentence", start + first, start + last, block)
                for first, last in sentences(_flowing(text[start:stop]))
            ]
        index = end
    return found


def _lines(text: str) -> list[_Line]:
    found, start = [], 0
    for line in text.splitlines(keepends=True):
        found.append(_Line(start, line.rstrip("\r\n")))
        start += len(line)
    return found


def _end(lines: list[_Line], end: int) -> int:
    last = lines[end - 1]
    return last.start + len(last.text)


def _span(kind: Kind, text: str, start: int, end: int, block: int) -> Unit:
    piece = text[start:end]
    lead = len(piece) - len(piece.lstrip("\r\n"))
    return Unit(kind, start + lead, start + len(piece.rstrip()), block)


def _fence_end(lines: list[_Line], index: int, fence: str) -> int:
    for end in range(index + 1, len(lines)):
        if lines[end].text.strip().startswith(fence) and not lines[end].text.strip().strip(fence[0]):
            return end + 1
    return len(lines)


def _indented_end(lines: list[_Line], index: int) -> int:
    end = last = index + 1
    while end < len(lines) and (not lines[end].text.strip() or lines[end].text.startswith(("    ", "\t"))):
        end += 1
        last = end if lines[end - 1].text.strip() else last
    return last


def _flowing(paragraph: str) -> str:
    """A paragraph of the same length without the line breaks that mean nothing: those of text that was wrapped at some
    width, and those in front of a small letter."""
    lines = paragraph.split("\n")
    wrapped = all(len(line) in _WRAPPED for line in lines[:-1])
    flowing = lines[0]
    for before, after in itertools.pairwise(lines):
        soft = wrapped or (after[:1].islower() and not before.rstrip().endswith((".", "!", "?", "…", ":")))
        flowing += (" " if soft else "\n") + after
    return flowing


def _list_end(lines: list[_Line], index: int) -> int:
    end = index + 1
    while end < len(lines):
        line = lines[end].text
        loose = not line.strip() and end + 1 < len(lines) and _ITEM.match(lines[end + 1].text)
        lazy = line.strip() and not _starts_block(line)
        if not (_ITEM.match(line) or _CONTINUED.match(line) or loose or lazy):
            return end
        end += 1
    return end


def _items(text: str, lines: list[_Line], block: int) -> list[Unit]:
    starts = [number for number, line in enumerate(lines) if _ITEM.match(line.text)]
    bounds = [*starts, len(lines)]
    return [
        _span("item", text, lines[first].start, _end(lines, last), block) for first, last in itertools.pairwise(bounds)
    ]


def _paragraph_end(lines: list[_Line], index: int) -> int:
    end = index + 1
    while end < len(lines) and lines[end].text.strip() and not _starts_block(lines[end].text):
        end += 1
    return end


def _starts_block(line: str) -> bool:
    return any(pattern.match(line) for pattern in (_FENCE, _HEADING, _ITEM, _QUOTATION, _TABLE))
