"""Cutting clean text into passages that the embedder sees whole.

Each category has its own strategy: articles by heading and paragraph, posts whole where they fit, code by definition.
The passages of a document follow each other without gap or overlap, so joining their texts gives the document back.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from markdown_it import MarkdownIt

from twin_assets.chunk import code
from twin_resources.retrieval.bm25 import fold

CODE_VERSION = "3"

_PREFIX_TOKENS = 48
_CHARACTERS = 8
"""So many a token are looked at first, to see where a text goes over a limit; that is nearly always enough."""
_RULE_TOKENS = 8
"""Kept free in every passage, so that a rule such as ``---`` behind it does not become a passage of its own."""
_SENTENCE = re.compile(r"(?<=[.!?…:;])[\"'”’)\]]*\s+|\n+")
_MARKDOWN = MarkdownIt("commonmark").enable("table")


_Places = Callable[[str], list[int]]


class Counter(Protocol):
    """What chunking needs to know of the embedder."""

    limit: int

    def count(self, text: str) -> int: ...
    def offsets(self, text: str) -> list[tuple[int, int]]: ...


@dataclass(frozen=True)
class Cut:
    """A slice ``[start, end)`` of the clean text in characters; ``embedded_text`` puts its headings in front of it."""

    start: int
    end: int
    text: str
    heading: tuple[str, ...]
    embedded_text: str
    tokens: int


@dataclass(frozen=True)
class _Prefix:
    """What stands before the passages of a section when they are embedded, and its tokens, special ones included."""

    text: str
    tokens: int


@dataclass(frozen=True)
class _Block:
    start: int
    end: int
    heading: tuple[str, ...]
    opens_section: bool = False


def chunk(
    text: str,
    category: str,
    counter: Counter,
    *,
    title: str = "",
    path: str | None = None,
    language: str | None = None,
) -> list[Cut]:
    """Cut one clean document.

    Args:
        category: articles, posts or code; decides the strategy.
        counter: tokens as the embedder counts them, and its limit.
        path: of a code file, within its repository; Markdown files are cut like articles.
        language: of a code file.

    Returns:
        The cuts in order; none has more than ``counter.limit`` tokens, and their texts join to ``text``.
    """
    if not text:
        return []
    is_markdown = category == "articles" or (path or "").lower().endswith((".md", ".markdown"))
    if category == "posts":
        blocks = list(_paragraphs(text, ()))
        root: tuple[str, ...] = ()
    elif is_markdown:
        name = (path if category == "code" else None) or title
        root = (name,) if name else ()
        blocks = list(_markdown_blocks(text))
    else:
        root = (path or title,)
        blocks = list(_code_blocks(text, language, path or ""))
    is_code = category == "code" and not is_markdown
    return list(_pack(text, blocks, root, counter, _CODE_CUTS if is_code else _CUTS))


def _paragraphs(text: str, heading: tuple[str, ...], offset: int = 0) -> Iterator[_Block]:
    """Blocks divided by blank lines; each keeps the blank lines behind it."""
    start = 0
    for match in re.finditer(r"\n[ \t]*\n+", text):
        yield _Block(offset + start, offset + match.end(), heading)
        start = match.end()
    if start < len(text):
        yield _Block(offset + start, offset + len(text), heading)


def _markdown_blocks(text: str) -> Iterator[_Block]:
    lines = [0]
    for match in re.finditer("\n", text):
        lines.append(match.end())
    lines.append(len(text))
    starts: list[tuple[int, int, str]] = []
    tokens = _MARKDOWN.parse(text)
    for index, token in enumerate(tokens):
        if token.level == 0 and token.map and token.nesting >= 0:
            level = int(token.tag[1]) if token.type == "heading_open" else 0
            starts.append((lines[token.map[0]], level, tokens[index + 1].content if level else ""))
    if not starts or starts[0][0] > 0:
        starts.insert(0, (0, 0, ""))
    path: list[tuple[int, str]] = []
    for (start, level, title), (end, _, _) in pairwise([*starts, (len(text), 0, "")]):
        if level:
            while path and path[-1][0] >= level:
                path.pop()
            path.append((level, _plain(title)))
        if end > start:
            yield _Block(start, end, tuple(name for _, name in path), opens_section=bool(level))


def _plain(heading: str) -> str:
    heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[*_`]+", "", heading).strip()


def _code_blocks(text: str, language: str | None, path: str) -> Iterator[_Block]:
    """One block for each function and method, for what a class holds besides, and for each run of other statements."""
    cuts = code.definitions(text, language, path) if language and code.knows(language) else []
    if not cuts:
        yield from _paragraphs(text, ())
        return
    lines = [0, *(match.end() for match in re.finditer("\n", text))]
    starts = [(0, ()), *((lines[line], symbol) for line, symbol in cuts)]
    for (start, symbol), (end, _) in pairwise([*starts, (len(text), ())]):
        if end > start:
            yield _Block(start, end, symbol, opens_section=True)


def _pack(
    text: str, blocks: Sequence[_Block], root: tuple[str, ...], counter: Counter, cuts: Sequence[_Places]
) -> Iterator[Cut]:
    """Join neighbouring blocks of a section up to the limit; a heading stays with what follows it."""
    start, end, heading = 0, 0, ()
    used = 0
    only_headings = True
    prefix = functools.cache(lambda heading: _prefix(root, heading, counter))
    for block in blocks:
        wordless = not re.search(r"\w", text[block.start : block.end])
        budget = counter.limit - prefix(block.heading).tokens - (0 if wordless else _RULE_TOKENS)
        size = _size(text[block.start : block.end], counter)
        new_section = block.opens_section and not only_headings
        if end > start and (new_section or used + size > budget):
            yield from _passages(text, start, end, heading, prefix(heading), counter, cuts)
            start, used, only_headings = block.start, 0, True
        if end <= start or only_headings:
            heading = block.heading
        if not wordless and (not block.opens_section or _has_body(text[block.start : block.end])):
            only_headings = False
        end = block.end
        used += size
    if end > start:
        yield from _passages(text, start, end, heading, prefix(heading), counter, cuts)


def _has_body(block: str) -> bool:
    return not re.fullmatch(r"\s*#{1,6} [^\n]*\s*|\s*[^\n]+\n[=-]+\s*", block)


def _size(text: str, counter: Counter) -> int:
    return max(0, counter.count(text) - 2)


def _prefix(root: tuple[str, ...], heading: tuple[str, ...], counter: Counter) -> _Prefix:
    parts = [part for part in (*root, *heading) if part]
    prefix = " > ".join(dict.fromkeys(parts))
    spans = counter.offsets(prefix)
    if len(spans) > _PREFIX_TOKENS:
        prefix = prefix[: spans[_PREFIX_TOKENS - 1][1]]
    text = fold(prefix + "\n\n") if prefix else ""
    return _Prefix(text, counter.count(text))


def _opening(text: str, tokens: int) -> str:
    """The beginning of a text, up to white space, that most likely has more than so many tokens; all of a short one."""
    from_here = re.compile(r"\s").search(text, _CHARACTERS * tokens)
    return text[: from_here.start()] if from_here else text


def _passages(
    text: str,
    start: int,
    end: int,
    heading: tuple[str, ...],
    prefix: _Prefix,
    counter: Counter,
    cuts: Sequence[_Places],
) -> Iterator[Cut]:
    """One passage for ``[start, end)``, or several where it is over the limit."""
    while True:
        piece = text[start:end].strip("\n")
        opening = _opening(piece, counter.limit)
        tokens = counter.count(fold(prefix.text + opening))
        if tokens <= counter.limit and len(opening) < len(piece):
            tokens = counter.count(fold(prefix.text + piece))
        if tokens <= counter.limit:
            yield Cut(start, end, text[start:end], heading, fold(prefix.text + piece), tokens)
            return
        middle = _cut(text, start, end, counter.limit - prefix.tokens, counter, cuts)
        yield from _passages(text, start, middle, heading, prefix, counter, cuts)
        start = middle


def _cut(text: str, start: int, end: int, budget: int, counter: Counter, cuts: Sequence[_Places]) -> int:
    """The last place to cut before the budget is used up, by the first of ``cuts`` that has one late enough."""
    piece, budget = text[start:end], max(1, budget)
    spans = counter.offsets(_opening(piece, budget))
    if len(spans) <= budget:
        spans = counter.offsets(piece)
    last = spans[min(budget, len(spans)) - 1][1] if spans else max(1, len(piece) // 2)
    last = min(last, len(piece) - 1)
    for find in cuts:
        places = [place for place in find(piece) if 0 < place <= last and piece[place:].strip()]
        if places and places[-1] >= last // 3:
            return start + places[-1]
    return start + max(1, last)


def _ends(pattern: str) -> Callable[[str], list[int]]:
    compiled = re.compile(pattern)
    return lambda piece: [match.end() for match in compiled.finditer(piece)]


_CUTS: tuple[_Places, ...] = (
    _ends(r"\n[ \t]*\n+"),
    lambda piece: [match.end() for match in _SENTENCE.finditer(piece)],
    _ends(r"\s+"),
)
"""Prose is cut at a paragraph, else at a sentence or line, else at a word."""
_CODE_CUTS: tuple[_Places, ...] = (_ends(r"\n[ \t]*\n+"), _ends(r"\n"), _ends(r"\s+"))
"""Code is cut at an empty line, else at a line, else at white space."""
