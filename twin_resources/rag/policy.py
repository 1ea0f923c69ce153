"""The answer policy: who answers a question, whether anything is said at all, and why.

The API, the command line, the chat page and evaluation all answer through :func:`choose`, :func:`look` and
:func:`settled`, so what is measured is what a reader gets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from twin_resources.rag.answer import QUOTED_FROM, SHOWN, Answer, Asked, Mode, evidence, overview, quoted, silence
from twin_resources.rag.intent import (
    asks_for_subjects,
    asks_what_there_is,
    asks_who,
    speaks_to_author,
    wants_writing,
)
from twin_resources.rag.pipeline import Found, Rag
from twin_resources.rag.silence import Evidence
from twin_resources.retrieval.options import EVERYTHING, Filters
from twin_resources.retrieval.search import Hit
from twin_resources.retrieval.sentences import Sentences


@dataclass(frozen=True)
class Choice:
    """How a question is answered, and the reason in words.

    ``reads``: whether a model that writes is given the passages.
    """

    mode: Mode
    because: str
    reads: bool = True


def choose(
    asked: Asked, text: str, *, use_rag: bool, adapter: str | None, licensed: Callable[[str], bool | None]
) -> Choice:
    """Decide how to answer.

    A model answers by itself only where it holds a licence: on held-out questions enough of its sentences had support.
    Where it writes, an adapter without one is not given passages: it learned to answer questions from them, so it
    would copy them out instead of writing.

    Args:
        adapter: the version that serves, None where none does.
        licensed: whether a version holds a licence, None where it was not measured yet.
    """
    if not use_rag:
        return Choice("write", "asked without passages")
    reads = adapter is None or bool(licensed(adapter))
    if asked != "auto":
        return Choice(asked, f"{asked} was asked for", reads=reads or asked != "write")
    if wants_writing(text):
        if adapter is None:
            return Choice("quote", "a text is asked for, and no adapter of this author serves yet")
        return Choice("write", "a text is asked for, which is the adapter's own task", reads=reads)
    if adapter is None:
        return Choice("quote", "no adapter serves, so the author's own sentences answer")
    allowed = licensed(adapter)
    if allowed:
        return Choice("generate", f"{adapter} was measured to keep to the passages")
    why = "has not been measured yet" if allowed is None else "was not measured to keep to the passages"
    return Choice("quote", f"{adapter} {why}, so the author's own sentences answer")


@dataclass(frozen=True)
class Looked:
    """What was found for a question: as it was asked, as it was searched for, what speaks for an answer, and what
    earlier answers said; with ``overview`` it asks what there is or, with ``profiles``, who the author is: then nothing
    was searched for, and what was found are the profiles and behind them the newest works."""

    question: str
    query: str
    found: Found
    sentences: Mapping[str, Sentences]
    evidence: Evidence
    said: str = ""
    overview: bool = False
    profiles: Sequence[Hit] = ()


def look(
    rag: Rag,
    author: str,
    question: str,
    *,
    history: Sequence[Mapping[str, str]] = (),
    k: int = QUOTED_FROM,
    filters: Filters = EVERYTHING,
    also: Callable[[], Sequence[str]] = tuple,
    weigh: bool = True,
) -> Looked:
    """Search for a question as it is searched for when a reader asks it.

    Args:
        history: earlier turns, the oldest first.
        k: passages wanted; where they are weighed, at least as many as a quotation is composed from are looked at.
        also: gives rewritten queries, searched for as well.
        weigh: whether sentences and evidence are wanted, for :func:`settled`; free writing needs none.
    """
    names = rag.names(author)
    if weigh and asks_what_there_is(question, names):
        profiles = rag.profiles(author) if asks_who(question, names) else []
        listed = not profiles or asks_for_subjects(question)
        shown = Found([*profiles, *(rag.openings(author, SHOWN) if listed else ())], None)
        return Looked(question, question, shown, {}, Evidence(0.0, 0.0, 0.0), overview=True, profiles=profiles)
    query = rag.searched_for(author, question, history)
    found = rag.search(
        author,
        query,
        k=max(k, QUOTED_FROM) if weigh else k,
        filters=filters,
        read=rag.settings.retrieval.read_questions,
        also=also(),
    )
    if found.vector is None or not weigh:
        return Looked(question, query, found, {}, Evidence(0.0, 0.0, 0.0))
    start = time.perf_counter()
    if not speaks_to_author(question, names):
        profiles = {hit.chunk_id for hit in rag.profiles(author)}
        found.hits = [hit for hit in found.hits if hit.chunk_id not in profiles]
    sentences = rag.sentences(author, found.hits)
    unknown = rag.unknown_names(author, question)
    spoken = evidence(query, found.vector, found.hits, sentences, unknown=unknown)
    found.timings_ms["evidence"] = round((time.perf_counter() - start) * 1000, 2)
    said = "\n\n".join(turn["content"] for turn in history if turn["role"] == "assistant")
    return Looked(question, query, found, sentences, spoken, said)


def settled(rag: Rag, author: str, looked: Looked, choice: Choice) -> Answer | None:
    """A quotation, an overview, or silence where too little speaks for an answer; None where a model writes."""
    hits, vector = looked.found.hits, looked.found.vector
    if looked.overview and hits:
        newest = "asked what there is, and these are the author's newest works"
        because = "asked who the author is, and so they say it" if looked.profiles else newest
        return overview(hits[len(looked.profiles) :], because, looked.profiles)
    if vector is None:
        return silence(looked.question, hits, "nothing of this author can be searched yet")
    score = looked.evidence.score
    if score < rag.threshold(author):
        return silence(looked.question, hits, f"nothing the author wrote comes near it ({score:.2f})")
    if choice.mode != "quote":
        return None
    return quoted(looked.query, vector, hits, looked.sentences, choice.because, said=looked.said) or silence(
        looked.question, hits, "the passages found hold no sentence"
    )
