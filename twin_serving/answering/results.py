"""What a search found and what an answer says, as every way of asking shows them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from twin_resources.rag.pipeline import Found
from twin_resources.rag.query import words_of

if TYPE_CHECKING:
    from twin_serving.answering.reply import Written


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


def answer_fields(written: Written) -> dict[str, Any]:
    """An answer with its mode, support, sentences and citations."""
    answer = written.answer
    return {
        "answer": answer.text,
        "mode": answer.mode,
        "because": answer.because,
        "abstained": answer.abstained,
        "support": answer.support,
        "grounded": answer.grounded,
        "sentences": [
            {
                "text": each.text,
                "support": each.support,
                "supported": each.supported,
                "markers": list(each.markers),
            }
            for each in answer.sentences
        ],
        "citations": [asdict(each) for each in answer.citations],
        "nearest": [{"document_id": written.documents[each.url], **asdict(each)} for each in answer.nearest],
    }
