"""What a search found and what an answer says, as every way of asking shows them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from twin_resources.rag.answer import Answer
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


def answer_fields(answer: Answer) -> dict[str, Any]:
    """An answer with its mode, support, sentences and citations."""
    return {
        "answer": answer.text,
        "mode": answer.mode,
        "because": answer.because,
        "abstained": answer.abstained,
        "support": answer.support,
        "grounded": answer.grounded,
        "sentences": [
            {"text": each.text, "support": each.support, "markers": list(each.markers)} for each in answer.sentences
        ],
        "citations": [asdict(each) for each in answer.citations],
        "nearest": [asdict(each) for each in answer.nearest],
    }
