"""Questions with the passages that answer them, for measuring search.

Questions come from the author's headings and from telling sentences. They are easier than what readers ask, because
their words stand in the passage; figures on them compare one way of searching with another, no more.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twin_resources.text.identity import content_id

CODE_VERSION = "1"
MAX_QUERIES = 200
_WORD = re.compile(r"[^\W\d_]{3,}")
_KEYWORDS = 6


@dataclass(frozen=True)
class Query:
    """A question of one ``kind``, and the ids of the passages that answer it."""

    id: str
    kind: str
    text: str
    relevant: tuple[str, ...]
    document_id: str
    url: str


@dataclass
class RetrievalDataset:
    """Queries in order of their ids."""

    author_id: str
    queries: list[Query]

    @property
    def id(self) -> str:
        """Content hash of the queries and of the code that made them."""
        parts = (part for query in self.queries for part in (query.id, *query.relevant))
        return content_id("retrieval", CODE_VERSION, self.author_id, *parts)


def build(author_id: str, chunks: Sequence[Mapping[str, Any]], limit: int = MAX_QUERIES) -> RetrievalDataset:
    """Make queries from the current passages of one author.

    Two kinds, half each: ``heading`` (a section's heading with the article's title, answered by its passages) and
    ``keywords`` (the most telling words of one passage by TF-IDF, in shuffled order, answered by that passage).
    """
    queries = _cut(_heading_queries(chunks), limit // 2) + _cut(_keyword_queries(chunks), limit // 2)
    return RetrievalDataset(author_id, sorted(queries, key=lambda query: query.id))


def _cut(queries: list[Query], limit: int) -> list[Query]:
    return sorted(queries, key=lambda query: hashlib.sha256(query.id.encode()).digest())[:limit]


def _heading_queries(chunks: Sequence[Mapping[str, Any]]) -> list[Query]:
    sections: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in chunks:
        if row["heading"] and row["category"] != "posts":
            sections[row["document_id"], row["heading"][-1]].append(row)
    asked = Counter(heading.casefold() for _, heading in sections)
    return [
        Query(
            content_id("query", "heading", document_id, heading),
            "heading",
            heading,
            tuple(row["id"] for row in rows),
            document_id,
            rows[0]["url"],
        )
        for (document_id, heading), rows in sections.items()
        if len(_WORD.findall(heading)) >= 3 and asked[heading.casefold()] == 1
    ]


def _keyword_queries(chunks: Sequence[Mapping[str, Any]]) -> list[Query]:
    bags = {row["id"]: Counter(word.casefold() for word in _WORD.findall(row["text"])) for row in chunks}
    spread = Counter(word for bag in bags.values() for word in bag)
    found = []
    for row in chunks:
        bag = bags[row["id"]]
        if bag.total() < 40:
            continue
        weights = {word: count * math.log(len(bags) / spread[word]) for word, count in bag.items() if spread[word] > 1}
        telling = sorted(weights, key=lambda word: (-weights[word], word))[:_KEYWORDS]
        if len(telling) == _KEYWORDS:
            shuffled = sorted(telling, key=lambda word: hashlib.sha256((row["id"] + word).encode()).digest())
            found.append(
                Query(
                    content_id("query", "keywords", row["id"]),
                    "keywords",
                    " ".join(shuffled),
                    (row["id"],),
                    row["document_id"],
                    row["url"],
                )
            )
    return found
