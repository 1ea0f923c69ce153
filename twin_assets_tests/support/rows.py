"""Rows for tests of pure functions: a test names what matters to it, the rest is filled in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from twin_assets.dataset.samples import InstructSample
from twin_resources.storage.calls.interactions import Interaction
from twin_resources.storage.chunk_store import Chunk
from twin_resources.storage.clean_store import CleanEntry


def chunk(**values: Any) -> Chunk:
    """A passage of one author."""
    text = values.get("text", "")
    filled: dict[str, Any] = {
        "id": "c", "author": "ada", "document_id": "d", "clean_document_id": "k", "category": "articles",
        "platform": "web", "url": "https://ada.example/a", "title": "A", "published_at": None, "heading": (),
        "position": 0, "start": 0, "end": len(text), "text": text, "tokens": len(text.split()), "embedded_text": text,
        "text_hash": "h", "chunker": "test",
    }  # fmt: skip
    return Chunk(**{**filled, **values})


def clean_entry(key: str, words: int, **values: Any) -> CleanEntry:
    """A clean document of one author without its text."""
    filled: dict[str, Any] = {
        "id": key, "document_id": f"d-{key}", "category": "articles", "platform": "web",
        "url": f"https://ada.example/{key}", "title": key, "byline": None, "published_at": None, "words": words,
        "kept_share": 1.0, "attributes": {},
    }  # fmt: skip
    return CleanEntry(**{**filled, **values})


def interaction(**values: Any) -> Interaction:
    """A call that was answered."""
    filled: dict[str, Any] = {
        "id": "t", "author": "ada", "call": "ask", "query": "q", "prompt": None, "answer": "a", "version": "me-1",
        "base": "base", "citations": [{}], "usage": {}, "timings_ms": {"total": 100.0}, "error": None,
        "at": datetime(2026, 11, 21, tzinfo=UTC), "rating": None, "comment": None, "correction": None,
    }  # fmt: skip
    return Interaction(**{**filled, **values})


def sample(instruction: str, answer: str, **values: Any) -> InstructSample:
    """An instruct sample of the training split, without passages."""
    filled: dict[str, Any] = {
        "id": "s", "split": "train", "category": "articles", "kind": "section", "passages": (), "document_id": "d",
        "url": "https://ada.example/a", "chunk_ids": ("c",),
    }  # fmt: skip
    return InstructSample(instruction=instruction, answer=answer, **{**filled, **values})
