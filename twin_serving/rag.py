"""Finding passages for a question, handing them to the model, and tying its answer back to them.

Evaluation runs this very module, so what is measured is what is served.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from twin_resources.embedder import Embedder, TokenCounter
from twin_resources.reranker import Reranker
from twin_resources.settings import Settings
from twin_resources.vectors import Filters, Hit, Mode, VectorIndex, fuse
from twin_serving.prompt import Passage

RERANKED = 30
"""Passages the cross-encoder sees, at most."""

SUPPORT = 0.6
"""A sentence rests on a passage when the passage has at least this share of its content words, and
:data:`SHARED_WORDS` of them. A marker that the model wrote itself needs half of both."""

SHARED_WORDS = 3

SAME_TEXT = 0.8
"""Two passages are the same when they share this part of their runs of five words."""

EVERYTHING = Filters()

_EXPANSION_HITS = 3
_EXPANSION_WEIGHT = 0.4

_MARKER = re.compile(r"[ \t]*\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\](?!\()")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.S)
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]*_]*(?=\s|$)|\n+|$")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|cf|vs|Mr|Ms|Mrs|Dr|No|St)|\b[A-Z])\.$")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_STOP_WORDS = frozenset(
    re.findall(
        r"\S+",
        """
        a about above after again all also am an and any are as at be because been before being below between both but
        by can could did do does doing don't down during each else even ever every few for from further get got had has
        have having he her here hers him his how i if in into is isn't it it's its itself just let like made make many
        may me might more most much must my myself no nor not now of off on once one only or other our ours out over own
        per rather really said same say says see she should since so some still such than that that's the their them
        then there these they thing things this those through to too two under until up upon us use used using very was
        way we well were what when where which while who whom whose why will with within without would yes yet you your
        yours author answer passage question
        """,
    )
)


@dataclass
class Found:
    """Passages in order; ``reranker`` is the model that ordered them, None where none did, and ``note`` says why."""

    hits: list[Hit]
    reranker: str | None
    note: str | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Cited:
    """An answer with markers, and what each marker stands for; ``grounded`` says whether there is any."""

    answer: str
    citations: list[dict[str, Any]]

    @property
    def grounded(self) -> bool:
        """Whether at least one sentence rests on a passage."""
        return bool(self.citations)


class Rag:
    """Searches, packs and cites.

    Args:
        count: tokens of a text, for the budget of the context; by default as the embedder counts them.
    """

    def __init__(
        self,
        settings: Settings,
        index: VectorIndex,
        embedder: Embedder,
        reranker: Reranker | None = None,
        *,
        count: Callable[[str], int] | None = None,
    ) -> None:
        self.settings = settings
        self.index = index
        self.embedder = embedder
        self.reranker = reranker
        self._count = count or TokenCounter.of(settings).count

    def search(
        self,
        author: str,
        query: str,
        k: int = 5,
        mode: Mode = "hybrid",
        rerank: bool = True,
        filters: Filters = EVERYTHING,
        expand: bool = False,
    ) -> Found:
        """The ``k`` best passages.

        Args:
            rerank: order the first :data:`RERANKED` with the cross-encoder, where there is one. When its time budget
                runs out, the passages it did not see keep their order behind those it saw.
            expand: search a second time with the best passages' own words (Rocchio 1971) and join both.
        """
        start = time.perf_counter()
        timings: dict[str, float] = {}
        wanted = max(k, RERANKED if rerank and self.reranker else k)
        vector = None
        if mode != "lexical":
            vector = self.embedder.encode([query])[0]
            timings["embed"] = _since(start)
        hits = self._ranked(author, query, vector, wanted, mode, filters, timings)
        if expand and hits:
            began = time.perf_counter()
            hits = self._expanded(author, query, vector, hits, wanted, mode, filters)
            timings["expand"] = _since(began)
        found = Found(hits, None, timings_ms=timings)
        if rerank and hits:
            self._rerank(query, found)
        found.hits = found.hits[:k]
        timings["total"] = _since(start)
        found.timings_ms = {name: round(value, 2) for name, value in timings.items()}
        return found

    def _ranked(
        self,
        author: str,
        query: str,
        vector: np.ndarray | None,
        k: int,
        mode: Mode,
        filters: Filters,
        timings: dict[str, float] | None = None,
    ) -> list[Hit]:
        return self.index.search(
            author,
            query,
            vector,
            k=k,
            mode=mode,
            candidates=self.settings.retrieval.candidates,
            filters=filters,
            timings=timings,
        )

    def _expanded(
        self, author: str, query: str, vector: np.ndarray | None, hits: list[Hit], k: int, mode: Mode, filters: Filters
    ) -> list[Hit]:
        best = hits[:_EXPANSION_HITS]
        if vector is not None:
            mean = self.embedder.encode([hit.text for hit in best]).mean(axis=0)
            moved = vector + _EXPANSION_WEIGHT * mean
            vector = moved / np.linalg.norm(moved)
        counts: dict[str, int] = {}
        for hit in best:
            for word in {word.casefold() for word in _WORD.findall(hit.text)} - _STOP_WORDS:
                counts[word] = counts.get(word, 0) + 1
        shared = sorted((word for word in counts if counts[word] > 1 and len(word) > 3), key=lambda w: (-counts[w], w))
        wider = self._ranked(author, " ".join([query, *shared[:8]]), vector, k, mode, filters)
        return fuse([hits, wider])[:k]

    def _rerank(self, query: str, found: Found) -> None:
        if self.reranker is None:
            found.note = "no re-ranker is available; passages are in the order of the search"
            return
        start = time.perf_counter()
        first = found.hits[:RERANKED]
        budget = self.settings.retrieval.rerank_budget_ms
        scores = self.reranker.scores(query, [hit.text for hit in first], budget_ms=budget)
        for hit, score in zip(first, scores, strict=False):
            hit.scores["rerank"] = score
            hit.score = score
        seen = sorted(first[: len(scores)], key=lambda hit: (-hit.score, hit.chunk_id))
        found.hits = seen + found.hits[len(scores) :]
        found.reranker = self.reranker.name
        found.timings_ms["rerank"] = _since(start)
        if len(scores) < len(first):
            found.note = (
                f"the re-ranking budget of {budget} ms ran out after {len(scores)} of {len(first)} passages; "
                "the others keep the order of the search"
            )

    def context(self, hits: Sequence[Hit], token_budget: int | None = None) -> tuple[list[Passage], list[Hit]]:
        """Number passages from 1 and pack them into a budget.

        A passage that repeats one before it is left out, one that does not fit makes way for a shorter one behind it,
        and the first is cut at a sentence rather than left out.

        Returns:
            The passages, and in the same order the hits they come from.
        """
        budget = self.settings.retrieval.context_tokens if token_budget is None else token_budget
        passages: list[Passage] = []
        used: list[Hit] = []
        shingles: list[set[tuple[str, ...]]] = []
        for hit in hits:
            text = hit.text.strip()
            mine = _shingles(text)
            if not text or any(_same(mine, other) for other in shingles):
                continue
            size = self._count(text)
            if size > budget:
                if passages:
                    continue
                text = self._cut(text, budget)
                size = self._count(text) if text else 0
                if not text:
                    continue
            budget -= size
            shingles.append(mine)
            passages.append(Passage(len(passages) + 1, hit.title, text))
            used.append(hit)
        return passages, used

    def _cut(self, text: str, budget: int) -> str:
        kept = ""
        for _, end in sentences(text, inside_code=True):
            if self._count(text[:end]) > budget:
                break
            kept = text[:end]
        return kept.strip()


def cite(answer: str, passages: Sequence[Passage], hits: Sequence[Hit]) -> Cited:
    """Put markers such as ``[1]`` behind the sentences that a passage supports, and list what they stand for.

    A marker the model wrote stays where its passage supports the sentence at all; one that names no passage, or one
    that has nothing to do with the sentence, is taken out. A sentence without a marker gets that of the passage that
    has most of its content words, from :data:`SUPPORT` on. Code is left as it is.

    Args:
        passages: as the model saw them, from :meth:`Rag.context`.
        hits: the hits of the passages, in the same order.
    """
    words = {passage.marker: _content(f"{passage.title}\n{passage.text}") for passage in passages}
    by_marker = {passage.marker: (passage, hit) for passage, hit in zip(passages, hits, strict=True)}
    claims: dict[int, list[str]] = {}
    out: list[str] = []
    position = 0
    for start, end in sentences(answer):
        out.append(answer[position:start])
        position = end
        sentence, written = _without_markers(answer[start:end])
        content = _content(_CODE.sub(" ", sentence))
        markers = [marker for marker in written if marker in words and _supports(content, words[marker], 0.5)]
        if not markers:
            best = max(words, key=lambda marker: (len(content & words[marker]), -marker), default=None)
            if best is not None and _supports(content, words[best]):
                markers = [best]
        for marker in markers:
            claims.setdefault(marker, []).append(sentence)
        out.append(_mark(sentence, markers))
    out.append(answer[position:])
    citations = [
        {
            "marker": marker,
            "chunk_id": hit.chunk_id,
            "document_id": hit.document_id,
            "title": hit.title,
            "url": hit.url,
            "platform": hit.platform,
            "quote": quote(passage.text, " ".join(claims[marker])),
        }
        for marker, (passage, hit) in sorted(by_marker.items())
        if marker in claims
    ]
    return Cited("".join(out).strip(), citations)


def quote(passage: str, claim: str) -> str:
    """The sentence of ``passage``, verbatim, that shares most with ``claim`` for its length."""
    wanted = _content(claim)
    best, best_score = "", -1.0
    for start, end in sentences(passage, inside_code=True):
        sentence = passage[start:end].strip()
        content = _content(sentence)
        score = 2 * len(wanted & content) / (len(wanted) + len(content)) if content else 0.0
        if sentence and score > best_score:
            best, best_score = sentence, score
    return best


def sentences(text: str, *, inside_code: bool = False) -> list[tuple[int, int]]:
    """Spans of the sentences of ``text``; fenced and inline code is never cut, and fenced code is no sentence."""
    code = [] if inside_code else [match.span() for match in _CODE.finditer(text)]
    fences = [span for span in code if text.startswith("```", span[0])]
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        end = match.end()
        if any(begin < end < stop for begin, stop in code) or _ABBREVIATION.search(text[start : match.end()]):
            continue
        behind = _MARKER.match(text, end)
        if behind and text[match.start() : match.start() + 1] in ".!?…":
            end = behind.end()
        if end <= start:
            continue
        if text[start:end].strip() and not any(begin < end and start < stop for begin, stop in fences):
            lead = len(text[start:end]) - len(text[start:end].lstrip())
            trail = len(text[start:end].rstrip())
            spans.append((start + lead, start + trail))
        start = end
    return spans


def _without_markers(sentence: str) -> tuple[str, list[int]]:
    """The sentence without its markers, and the numbers they had; what looks like one in code stays."""
    code = [match.span() for match in _CODE.finditer(sentence)]
    found: list[int] = []

    def take(match: re.Match[str]) -> str:
        if any(begin <= match.start() < stop for begin, stop in code):
            return match.group()
        found.extend(int(number) for number in re.findall(r"\d+", match.group(1)))
        return ""

    return _MARKER.sub(take, sentence), list(dict.fromkeys(found))


def _mark(sentence: str, markers: Sequence[int]) -> str:
    if not markers:
        return sentence
    marks = "".join(f"[{marker}]" for marker in sorted(markers))
    body = sentence.rstrip(".!?…")
    if not body:
        return sentence
    return f"{body} {marks}{sentence[len(body) :]}"


def _content(text: str) -> set[str]:
    """Content words in a rough common form, so that ``tides`` meets ``tide`` and ``measured`` meets ``measure``."""
    words = (word.casefold().replace("’", "'") for word in _WORD.findall(text))
    return {_stem(word) for word in words if word not in _STOP_WORDS and (len(word) > 2 or word.isdigit())}


def _stem(word: str) -> str:
    word = word.removesuffix("'s")
    for ending in ("ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)]
    return word


def _supports(sentence: set[str], passage: set[str], share: float = 1.0) -> bool:
    shared = len(sentence & passage)
    return shared >= max(1, SHARED_WORDS * share) and shared >= SUPPORT * share * len(sentence)


def _shingles(text: str, size: int = 5) -> set[tuple[str, ...]]:
    words = [word.casefold() for word in _WORD.findall(text)]
    return {tuple(words[start : start + size]) for start in range(max(1, len(words) - size + 1))}


def _same(one: set[tuple[str, ...]], other: set[tuple[str, ...]]) -> bool:
    return len(one & other) >= SAME_TEXT * min(len(one), len(other))


def _since(start: float) -> float:
    return (time.perf_counter() - start) * 1000
