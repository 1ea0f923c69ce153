"""The answer policy: the author's own words, what a model may add to them, or that nothing was written.

A small model never speaks beyond what it was measured to be able to. *quote* composes an answer of the author's
sentences and needs no model; *generate* is for a model and adapter that hold a licence, every sentence of theirs is
held against the passages, and what has no support is left out; *write* is the adapter's own task and marked as the
twin's writing. The API, the chat page and the command line all answer through this module.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from twin_resources.rag.citations import Citation, Sentence, checked_sentences, citations, marked, tells
from twin_resources.rag.prompt import Passage
from twin_resources.rag.query import subject
from twin_resources.rag.quote import MOST_WORDS, Quotation, compose
from twin_resources.rag.silence import SPOKEN, Evidence, saying
from twin_resources.retrieval.search import Hit
from twin_resources.retrieval.sentences import Sentences
from twin_resources.text.languages import guessed_language, language_of
from twin_resources.text.units import Unit, units
from twin_resources.text.words import content_words

Mode = Literal["quote", "generate", "write"]
Asked = Literal["auto", "quote", "generate", "write"]

GROUNDED = 0.5
"""An answer is grounded from this share of supported sentences on."""
_NEAREST = 3
QUOTED_FROM = 10
"""Passages whose sentences are looked at for a quotation."""
SHOWN = 6
"""Documents named to those who ask what there is."""


@dataclass(frozen=True)
class Nearest:
    """A document that comes near a question which nothing answers."""

    title: str
    url: str


@dataclass(frozen=True)
class Answer:
    """An answer as a reader gets it. ``because`` says in words why it was given in this mode."""

    text: str
    mode: Mode
    because: str
    abstained: bool = False
    sentences: Sequence[Sentence] = ()
    citations: Sequence[Citation] = ()
    nearest: Sequence[Nearest] = ()

    @property
    def support(self) -> float | None:
        """Share of the sentences that are supported, in [0, 1]; None where nothing is said."""
        if self.abstained or not self.sentences:
            return None
        return round(sum(sentence.supported for sentence in self.sentences) / len(self.sentences), 4)

    @property
    def grounded(self) -> bool:
        """Whether enough of it is supported."""
        return (self.support or 0.0) >= GROUNDED


def evidence(
    question: str,
    vector: np.ndarray,
    hits: Sequence[Hit],
    found: Mapping[str, Sentences],
    *,
    unknown: Sequence[str] = (),
) -> Evidence:
    """What speaks for answering ``question`` from these passages."""
    best = [float((found[hit.chunk_id].vectors @ vector).max(initial=0.0)) for hit in hits]
    wanted = content_words(subject(question))
    held = set().union(*(content_words(f"{hit.title}\n{hit.text}") for hit in hits[:3]))
    return Evidence(
        sentence=max(best, default=0.0),
        passage=max((hit.scores.get("dense", 0.0) for hit in hits), default=0.0),
        covered=len(wanted & held) / max(1, len(wanted)),
        unknown=tuple(unknown),
    )


def silence(question: str, hits: Sequence[Hit], because: str, *, mode: Mode = "quote") -> Answer:
    """That the author has written nothing about it, in the question's language, with what comes nearest."""
    near: dict[str, Nearest] = {}
    for hit in hits:
        near.setdefault(hit.document_id, Nearest(hit.title, hit.url))
    language = language_of(question) or guessed_language(question, SPOKEN)
    return Answer(saying(language or "en"), mode, because, abstained=True, nearest=tuple(near.values())[:_NEAREST])


def overview(openings: Sequence[Hit], because: str, profiles: Sequence[Hit] = ()) -> Answer:
    """What there is: what the author says of themselves, then the titles of documents, each citing the sentence that
    its first passage begins with."""
    parts, made, cited = _introduced(profiles)
    listed = [
        Citation(
            number, each.chunk_id, each.document_id, each.title, each.url, each.platform, _first_sentence(each.text)
        )
        for number, each in enumerate(openings, start=len(cited) + 1)
    ]
    titles = "\n".join(f"- {each.title} [{each.marker}]" for each in listed)
    return Answer(
        "\n\n".join(filter(None, (*parts, titles))),
        "quote",
        because,
        sentences=[*made, *(Sentence(each.title, 1.0, (each.marker,)) for each in listed)],
        citations=[*cited, *listed],
    )


def _introduced(profiles: Sequence[Hit]) -> tuple[list[str], list[Sentence], list[Citation]]:
    """Profiles word for word as far as an answer is long, what another one said left out."""
    parts: list[str] = []
    made: list[Sentence] = []
    cited: list[Citation] = []
    left = MOST_WORDS
    for index, hit in enumerate(profiles):
        kept: list[Unit] = []
        for unit in units(hit.text):
            words = hit.text[unit.start : unit.end]
            left -= len(words.split())
            if left < 0 or words in {sentence.text for sentence in made}:
                break
            kept.append(unit)
        if kept:
            run = Quotation(index, kept[0].start, kept[-1].end, tuple(kept), 1.0)
            text, said = _marked(hit.text, run, len(cited) + 1)
            parts.append(text)
            made += said
            cited.append(_citation(len(cited) + 1, hit, [run]))
    return parts, made, cited


def _first_sentence(text: str) -> str:
    first = next((unit for unit in units(text) if unit.kind == "sentence"), None)
    return text[first.start : first.end] if first else text


def quoted(
    question: str,
    vector: np.ndarray,
    hits: Sequence[Hit],
    found: Mapping[str, Sentences],
    because: str,
    *,
    said: str = "",
) -> Answer | None:
    """An answer of the author's own sentences, rather of those that were not ``said`` before; None where the passages
    hold none."""
    hits = hits[:QUOTED_FROM]
    runs = compose(question, vector, hits, found, said=said)
    if not runs:
        return None
    markers = {index: number for number, index in enumerate(dict.fromkeys(run.index for run in runs), start=1)}
    parts, made = [], []
    for run in runs:
        text, quoted_units = _marked(hits[run.index].text, run, markers[run.index])
        parts.append(text)
        made += quoted_units
    cited = [
        _citation(marker, hits[index], [run for run in runs if run.index == index]) for index, marker in markers.items()
    ]
    return Answer("\n\n".join(parts), "quote", because, sentences=made, citations=cited)


def _marked(text: str, run: Quotation, marker: int) -> tuple[str, list[Sentence]]:
    """A run as it stands in its passage, with the marker behind each unit, and the units one by one."""
    out, said, position = [], [], run.start
    for unit in run.units:
        words = text[unit.start : unit.end]
        out.append(text[position : unit.start])
        position = unit.end
        block = unit.kind in ("code", "table")
        shown = _fenced(words) if unit.kind == "code" else words
        out.append(f"{shown}\n\n[{marker}]" if block else f"{shown} [{marker}]")
        said.append(Sentence(words, 1.0, (marker,)))
    return "".join(out).strip(), said


def _fenced(code: str) -> str:
    """A block of code as Markdown; that of a program, or one that is indented, has no fence of its own."""
    if code.startswith(("```", "~~~")):
        return code
    code = textwrap.dedent(code)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", code)), default=0))
    return f"{fence}\n{code}\n{fence}"


def _citation(marker: int, hit: Hit, runs: Sequence[Quotation]) -> Citation:
    words = " … ".join(hit.text[run.start : run.end] for run in sorted(runs, key=lambda run: run.start))
    return Citation(marker, hit.chunk_id, hit.document_id, hit.title, hit.url, hit.platform, words)


def worded(made: Sentence) -> bool:
    """Whether a sentence of a model may be shown: a passage supports it, and it is more than a number or a mark."""
    return made.supported and bool(content_words(made.text))


def supported_only(text: str, question: str, passages: Sequence[Passage], because: str) -> Answer:
    """A generated answer of which only what the passages support is left: nothing where that does not tell anything."""
    kept = [made for made in checked_sentences(text, passages) if worded(made)]
    if not any(tells(made.text, question) for made in kept):
        kept = []
    said = " ".join(made.marked for made in kept)
    return Answer(said, "generate", because, sentences=kept, citations=citations(kept, passages))


def written_by_twin(text: str, passages: Sequence[Passage], because: str) -> Answer:
    """What the twin wrote on its own, marked as such: its sentences with the support they happen to have."""
    said, made = marked(text, passages)
    return Answer(said, "write", because, sentences=made, citations=citations(made, passages))
