"""What a search found, as every way of searching shows it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from twin_resources.rag.pipeline import Found
from twin_resources.rag.query import words_of


def results_of(found: Found) -> dict[str, Any]:
    """Passages with their scores, what ordered them, and what was read from the question."""
    read = found.understood
    return {
        "results": [asdict(hit) for hit in found.hits],
        "reranker": found.reranker,
        "note": found.note,
        "understood": {"parts": list(read.parts), "filters": words_of(read.filters), "because": read.because}
        if read
        else None,
        "timings_ms": found.timings_ms,
    }
