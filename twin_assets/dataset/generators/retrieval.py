"""Questions with the passages that answer them, for measuring search.

Questions come from the author's headings and keywords. They are easier than what readers ask, because
their words stand in the passage; figures on them compare one way of searching with another, no more.
"""

from __future__ import annotations

import hashlib
import heapq
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from twin_resources.storage.chunk_store import Chunk
from twin_resources.storage.datasets import Split
from twin_resources.text.identity import content_id

CODE_VERSION = "2"
MAX_QUERIES = 200
_WORD = re.compile(r"[^\W\d_]{3,}")
_KEYWORDS = 6


@dataclass(frozen=True)
class Query:
    """A question of one ``kind``, and the ids of the passages that answer it.

    ``part`` is what a re-ranker may do with it; None where its document is left out of what learns.
    """

    id: str
    kind: str
    text: str
    relevant: tuple[str, ...]
    document_id: str
    url: str
    part: Split | None = None


@dataclass
class RetrievalDataset:
    """Queries in order of their ids."""

    author_id: str
    queries: list[Query]

    @property
    def id(self) -> str:
        """Content hash of the queries and of the code that made them."""
        parts = (part for query in self.queries for part in (query.id, query.part, *query.relevant))
        return content_id("retrieval", CODE_VERSION, self.author_id, *parts)


def build(
    author_id: str,
    chunks: Iterable[Chunk],
    limit: int = MAX_QUERIES,
    parts: Mapping[str, Split | None] = MappingProxyType({}),
) -> RetrievalDataset:
    """Make queries from the current passages of one author.

    Two kinds, half each: ``heading`` (a section's heading with the article's title, answered by its passages) and
    ``keywords`` (the keywords of one passage by TF-IDF, in shuffled order, answered by that passage).

    Args:
        chunks: in the order of document and position; iterated three times, so an iterator will not do.
        parts: what a re-ranker may do with the questions of each document.
    """
    queries = _cut(_heading_queries(chunks), limit // 2) + _cut(_keyword_queries(chunks), limit // 2)
    queries = [replace(query, part=parts.get(query.document_id)) for query in queries]
    return RetrievalDataset(author_id, sorted(queries, key=lambda query: query.id))


def _cut(queries: Iterable[Query], limit: int) -> list[Query]:
    return heapq.nsmallest(limit, queries, key=lambda query: hashlib.sha256(query.id.encode()).digest())


@dataclass
class _Section:
    """The passages under one heading of one document."""

    url: str
    chunk_ids: list[str]


def _heading_queries(chunks: Iterable[Chunk]) -> Iterator[Query]:
    sections: dict[tuple[str, str], _Section] = {}
    for each in chunks:
        if each.heading and each.category != "posts":
            found = sections.setdefault((each.document_id, each.heading[-1]), _Section(each.url, []))
            found.chunk_ids.append(each.id)
    asked = Counter(heading.casefold() for _, heading in sections)
    for (document_id, heading), section in sections.items():
        if len(_WORD.findall(heading)) >= 3 and asked[heading.casefold()] == 1:
            key = content_id("query", "heading", document_id, heading)
            yield Query(key, "heading", heading, tuple(section.chunk_ids), document_id, section.url)


def _keyword_queries(chunks: Iterable[Chunk]) -> Iterator[Query]:
    spread: Counter[str] = Counter()
    count = 0
    for each in chunks:
        spread.update(_bag(each).keys())
        count += 1
    for each in chunks:
        bag = _bag(each)
        if bag.total() < 40:
            continue
        weights = {word: many * math.log(count / spread[word]) for word, many in bag.items() if spread[word] > 1}
        keywords = sorted(weights, key=lambda word: (-weights[word], word))[:_KEYWORDS]
        if len(keywords) == _KEYWORDS:
            shuffled = sorted(keywords, key=lambda word: hashlib.sha256((each.id + word).encode()).digest())
            key = content_id("query", "keywords", each.id)
            yield Query(key, "keywords", " ".join(shuffled), (each.id,), each.document_id, each.url)


def _bag(chunk: Chunk) -> Counter[str]:
    return Counter(word.casefold() for word in _WORD.findall(chunk.text))
