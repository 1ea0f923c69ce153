"""Cutting the clean documents that have no passages yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twin_resources.text.identity import content_id

from twin_assets.chunk.chunk import CODE_VERSION, chunk
from twin_resources.retrieval.embedder import TokenCounter
from twin_resources.storage.warehouse import Warehouse


@dataclass
class Cut:
    """What a chunking did: documents cut now, and passages added."""

    documents: int = 0
    passages: int = 0


def chunker_id(embedding_model: str, counter: TokenCounter) -> str:
    """Names the way of cutting: the code, and the tokenizer whose limit it keeps to."""
    return f"{CODE_VERSION}/{embedding_model}/{counter.limit}"


def cut_new(
    warehouse: Warehouse,
    author_id: str,
    category: str,
    counter: TokenCounter,
    chunker: str,
    progress: Callable[[int], None] | None = None,
) -> Cut:
    """Cut what is new in a category, and settle which passages are current.

    Raises:
        ValueError: the passages of a document do not join to its text, or one is over the limit.
    """
    done = Cut()
    for row in warehouse.unchunked(author_id, category, chunker):
        rows = passage_rows(row, counter, chunker)
        done.passages += warehouse.save_chunks(rows)
        done.documents += 1
        if progress and done.documents % 100 == 0:
            progress(done.documents)
    warehouse.settle_chunks(author_id, category, chunker)
    return done


def passage_rows(row: Mapping[str, Any], counter: TokenCounter, chunker: str) -> list[dict[str, Any]]:
    """Rows of ``chunk`` for one clean document."""
    attributes = row["attributes"]
    passages = chunk(
        row["text"],
        row["category"],
        counter,
        title=row["title"],
        path=attributes.get("path"),
        language=attributes.get("language"),
    )
    if "".join(passage.text for passage in passages) != row["text"]:
        raise ValueError(f"{row['url']}: its passages do not join to its text; this is a defect of the chunking")
    seen: Counter[str] = Counter()
    rows = []
    for position, passage in enumerate(passages):
        if passage.tokens > counter.limit:
            raise ValueError(f"{row['url']}: a passage has {passage.tokens} tokens, over the limit of {counter.limit}")
        text_hash = content_id("embedded", passage.embedded_text)
        seen[text_hash] += 1
        rows.append(
            {
                "id": content_id("chunk", row["id"], chunker, text_hash, seen[text_hash]),
                "author": row["author"],
                "document_id": row["document_id"],
                "clean_document_id": row["id"],
                "category": row["category"],
                "platform": row["platform"],
                "url": row["url"],
                "title": row["title"],
                "published_at": row["published_at"],
                "heading": list(passage.heading),
                "position": position,
                "start": passage.start,
                "end": passage.end,
                "text": passage.text,
                "tokens": passage.tokens,
                "embedded_text": passage.embedded_text,
                "text_hash": text_hash,
                "chunker": chunker,
                "language": "" if row["category"] == "code" else attributes.get("language", ""),
            }
        )
    return rows
