"""What a search found and what an answer says, as every way of asking shows them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from twin_resources.rag.answer import GROUNDED
from twin_resources.rag.pipeline import Found
from twin_resources.rag.query import words_of
from twin_resources.storage.calls.conversations import Given
from twin_resources.storage.calls.interactions import Shown
from twin_serving.answering.engine import BASE

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
        "searched_for": written.searched_for,
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


def shown_of(written: Written) -> Shown:
    """What the record of an answer keeps, so that :func:`given_fields` can show it again."""
    fields = answer_fields(written)
    return Shown(
        because=fields["because"],
        finish_reason=written.generation.finish_reason,
        searched_for=fields["searched_for"],
        reranker=written.reranker,
        sentences=fields["sentences"],
        nearest=fields["nearest"],
    )


def given_fields(given: Given) -> dict[str, Any]:
    """A stored answer as :func:`answer_fields` had it, with its question, and who gave it when and how."""
    return {
        "answer": given.answer,
        "mode": given.mode,
        "abstained": given.abstained,
        "support": given.support,
        "grounded": (given.support or 0.0) >= GROUNDED,
        "citations": given.citations,
        **asdict(given.shown),
        "question": given.question,
        "author": given.author,
        "model": model_of(given.author, given.version, given.base),
        "trace_id": given.trace_id,
        "usage": given.usage,
        "timings_ms": given.timings_ms,
        "at": given.at,
    }


def model_of(author: str, version: str | None, base: str) -> dict[str, str | None]:
    """Who answered: the adapter, None for the base, and the name to ask for the same one again."""
    return {"base": base, "adapter": version, "version": f"twin/{author}@{version or BASE}"}
