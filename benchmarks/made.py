"""Passages that are made rather than collected: all of one author and one document, for measuring at size."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from benchmarks import corpus
from twin_resources.database import schema
from twin_resources.database.bulk import copy_upsert
from twin_resources.storage.warehouse import Warehouse

AUTHOR = corpus.author("scale")
_COLUMNS = [
    "id", "author", "document_id", "clean_document_id", "category", "platform", "url", "title", "heading", "position",
    "start", "end", "text", "tokens", "embedded_text", "text_hash", "chunker", "language", "current",
]  # fmt: skip


def key(number: int) -> str:
    """The id of a passage, which is the hash of its text as well."""
    return f"s{number:08}"


def store_document(engine: sa.Engine) -> None:
    """The one document that all made passages belong to."""
    Warehouse(engine).record_author(AUTHOR)
    source = {"id": "scale", "author": "scale", "kind": "jsonl", "origin": "jsonl", "location": "scale"}
    document = {"id": "scale", "author": "scale", "url": "https://scale.example/", "platform": "web"}
    clean = document | {"document_id": "scale", "version_id": "scale", "cleaner": "bench", "title": "Scale", "text": ""}
    with engine.begin() as session:
        for table, row in (
            (schema.source, source | {"options": {}, "remembered": False}),
            (schema.document, document | {"origin": "jsonl", "category": "articles"}),
            (
                schema.clean_document,
                clean
                | {"category": "articles", "content_hash": "", "words": 0, "kept_share": 1.0}
                | {"attributes": {}, "removed": {}},
            ),
        ):
            session.execute(insert(table).values(row).on_conflict_do_nothing())


def store(engine: sa.Engine, passages: Iterable[tuple[int, str, str]]) -> None:
    """Store passages by number, text and platform, without vectors."""
    rows = (
        (
            key(number), "scale", "scale", "scale", "articles", platform, f"https://scale.example/{number}", "Scale",
            [], number, 0, len(text), text, 100, text, key(number), "bench", "en", True,
        )
        for number, text, platform in passages
    )  # fmt: skip
    with engine.begin() as session:
        copy_upsert(session, schema.chunk, _COLUMNS, rows)
