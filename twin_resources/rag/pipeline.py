"""Finding passages for a question and packing them for the model.

Evaluation runs this very module, so what is measured is what is served.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np
import sqlalchemy as sa

from twin_resources.config.settings import Settings
from twin_resources.database.replica import read_again
from twin_resources.features import FeatureStore
from twin_resources.models.hub import ModelNotFound
from twin_resources.models.word_vectors import LANGUAGES, WordVectors
from twin_resources.rag.compression import compress
from twin_resources.rag.prompt import Passage
from twin_resources.rag.query import Understood, condensed, subject, understand
from twin_resources.rag.silence import THRESHOLD, names_in
from twin_resources.retrieval import bm25, fusion
from twin_resources.retrieval.embedder import Embedder, TokenCounter
from twin_resources.retrieval.glossary import Glossary
from twin_resources.retrieval.options import EVERYTHING, Filters, Mode, Options
from twin_resources.retrieval.reranker import Reranker, Rerankers
from twin_resources.retrieval.search import Hit, join
from twin_resources.retrieval.sentences import SentenceIndex, Sentences
from twin_resources.retrieval.spelling import Spelling
from twin_resources.retrieval.vectors import served_model
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.chunk_store import Chunk, ChunkStore, Extent
from twin_resources.storage.reports import Report, Reports
from twin_resources.text.languages import guessed_language, language_of
from twin_resources.text.sentences import sentences
from twin_resources.text.words import STOP_WORDS, plain_words

log = logging.getLogger(__name__)

_RELEASE_SECONDS = 5.0
"""How long what the database says of an author is taken for granted before it is asked again."""

_THEIR_WORDS = 0.5
"""A question of which the author used this share of words is in their language, whatever a short text looks like."""

_Value = TypeVar("_Value")


@dataclass
class Found:
    """Passages in order; ``reranker`` is the model that ordered them, None where none did, and ``note`` says why.

    ``understood`` is what was read from the question, None where that was not asked for.
    """

    hits: list[Hit]
    reranker: str | None
    note: str | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)
    understood: Understood | None = None
    vector: np.ndarray | None = None
    """The question's vector, shape ``(dimensions,)``; None where only words were searched for."""


class _Lately(Generic[_Value]):
    """Values by author or version, asked for again after :data:`_RELEASE_SECONDS`."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, _Value]] = {}

    def get(self, key: str, ask: Callable[[], _Value]) -> _Value:
        """The value of a key as it was lately."""
        now = time.monotonic()
        kept = self._kept.get(key)
        if kept is None or now - kept[0] > _RELEASE_SECONDS:
            kept = self._kept[key] = (now, ask())
        return kept[1]

    def kept(self, key: str) -> _Value | None:
        """The value of a key as it was at last; None before it was asked for."""
        kept = self._kept.get(key)
        return None if kept is None else kept[1]


class Rag:
    """Searches and packs.

    Args:
        engine: our database, or what it is read from.
        embedder: of the configured model; an author whose passages still stand under another is searched with that.
        reranker: for authors without one of their own.
        count: tokens of a text, for the budget of the context; by default as the embedder counts them.
        patience: seconds that a question in another language waits for what it is put into the author's words with,
            before it is searched for as it is; None waits.
    """

    def __init__(
        self,
        settings: Settings,
        engine: sa.Engine,
        embedder: Embedder,
        reranker: Reranker | None = None,
        *,
        count: Callable[[str], int] | None = None,
        patience: float | None = None,
    ) -> None:
        self.settings = settings
        self.engine = engine
        self.embedder = embedder
        self.reranker = reranker
        self.features = FeatureStore(engine)
        self._chunks = ChunkStore(engine)
        counter = TokenCounter.of(settings)
        self._count = count or counter.count
        self._embedders = {embedder.name: embedder}
        self._sentences: dict[str, SentenceIndex] = {}
        self._spelling = Spelling(engine, counter.is_word)
        self._glossary = Glossary(engine, self._spelling.words, WordVectors, patience=patience)
        self._released: _Lately[str] = _Lately()
        self._extents: _Lately[Extent] = _Lately()
        self._artifacts: _Lately[str | None] = _Lately()
        self._thresholds: _Lately[float] = _Lately()
        self._answers: _Lately[Report | None] = _Lately()
        self._languages: _Lately[set[str]] = _Lately()
        self._profiles: _Lately[list[Chunk]] = _Lately()
        self._own_rerankers = Rerankers(ArtifactStore.of(settings))

    @read_again
    def search(
        self,
        author: str,
        query: str,
        *,
        k: int = 5,
        mode: Mode = "hybrid",
        rerank: bool = True,
        filters: Filters = EVERYTHING,
        expand: bool | None = None,
        recency: float = 0.0,
        diversity: float = 0.0,
        read: bool = False,
        also: Sequence[str] = (),
    ) -> Found:
        """The ``k`` best passages.

        Args:
            rerank: order the first with the cross-encoder, where there is one. When its time budget runs out, the
                passages stay in the order of the search.
            expand: search a second time with the query moved towards its best passages; None as configured.
            recency, diversity: in [0, 1]; how much newer passages, and passages unlike those before, are preferred.
            read: take dates, platform and category from the question, and search for each part of a compound one.
                Conditions read so give way when nothing meets them.
            also: rewritten queries, searched for as well.
        """
        start = time.perf_counter()
        timings: dict[str, float] = {}
        understood = self._understood(author, query, filters) if read else None
        if understood:
            timings["read"] = _since(start)
        chosen = self.settings.retrieval
        reranker = self._reranker_of(author) if rerank else None
        options = Options(
            mode,
            max(k, chosen.candidates),
            chosen.expand if expand is None else expand,
            recency,
            diversity,
        )
        wanted = max(k, chosen.reranked) if reranker else k
        found = Found([], None, timings_ms=timings, understood=understood)
        scope = understood.filters if understood else filters
        parts = tuple(map(subject, (*(understood.parts if understood else (query,)), *also)))
        found.hits = self._find(author, parts, wanted, options, scope, found)
        if not found.hits and understood and scope != filters:
            found.note = "nothing meets what was read from the question; everything was searched"
            found.hits = self._find(author, parts, wanted, options, filters, found)
        if rerank and found.hits:
            self._rerank(query, found, reranker)
        found.hits = found.hits[:k]
        timings["total"] = _since(start)
        found.timings_ms = {name: round(value, 2) for name, value in timings.items()}
        return found

    def _find(
        self, author: str, parts: Sequence[str], k: int, options: Options, filters: Filters, found: Found
    ) -> list[Hit]:
        embedder = self._embedder_of(author) if options.mode != "lexical" else self.embedder
        vectors = functools.cache(lambda: embedder.encode_questions(list(parts)))
        search = self.features.search(author, embedder.name)
        rankings = [
            search.find(
                author,
                part,
                lambda number=number: vectors()[number],
                k=k,
                options=options,
                filters=filters,
                timings=found.timings_ms,
            )
            for number, part in enumerate(parts)
        ]
        if options.mode != "lexical":
            found.vector = vectors()[0]
        return join(rankings, k)

    def foresee(self, author: str, query: str) -> None:
        """Have a question embedded with the next that are, as it will be searched for soon; returns at once."""
        model = self._released.kept(author)
        self._embedders.get(model or "", self.embedder).foresee(subject(query))

    @read_again
    def searched_for(self, author: str, question: str, history: Sequence[Mapping[str, str]] = ()) -> str:
        """What is searched for: the question on its own, its spelling put right, and where it is in a language that
        the author does not write in, in the author's words.

        Args:
            history: earlier turns with ``role`` and ``content``, the oldest first.
        """
        alone = condensed(question, history)
        language = self._another_language(author, question, alone)
        return self._glossary.put(author, alone, language) if language else self._spelling.corrected(author, alone)

    def _another_language(self, author: str, question: str, alone: str) -> str | None:
        """The language of a question that has to be put into the author's words, ``alone`` as it stands on its own."""
        language = language_of(question) or guessed_language(question, LANGUAGES)
        if not language or language in self._languages.get(author, lambda: self._written_in(author)):
            return None
        words = self._spelling.words(author)
        asked = [word for word in plain_words(alone) if word not in STOP_WORDS]
        return language if words and sum(word in words for word in asked) < _THEIR_WORDS * len(asked) else None

    def _written_in(self, author: str) -> set[str]:
        with self.engine.connect() as session:
            return bm25.languages_of(session, author)

    @read_again
    def sentences(self, author: str, hits: Sequence[Hit]) -> dict[str, Sentences]:
        """The sentences of passages with their vectors, by chunk id; see :class:`SentenceIndex`."""
        embedder = self._embedder_of(author)
        if embedder.name not in self._sentences:
            self._sentences[embedder.name] = SentenceIndex(self.engine, embedder.name)
        return self._sentences[embedder.name].of({hit.chunk_id: hit for hit in hits}, embedder)

    @read_again
    def openings(self, author: str, count: int) -> list[Hit]:
        """The first passages of the author's newest documents."""
        return [_hit(each) for each in self._chunks.openings(author, count)]

    def names(self, author: str) -> tuple[str, ...]:
        """The names that the author goes by, as configured."""
        known = next((each for each in self.settings.authors if each.id == author), None)
        return (known.name, *known.aliases) if known else ()

    @read_again
    def profiles(self, author: str) -> list[Hit]:
        """What the author says of themselves on platforms."""
        return [_hit(each) for each in self._profiles.get(author, lambda: self._chunks.profiles(author))]

    @read_again
    def threshold(self, author: str) -> float:
        """The evidence from which on a question to this author is answered, as calibrated, else the usual one."""
        return self._thresholds.get(author, lambda: self._calibrated(author))

    def _calibrated(self, author: str) -> float:
        report = Reports(self.engine).newest(author, "silence")
        return float(report.metrics["threshold"]) if report is not None else THRESHOLD

    @read_again
    def licensed(self, author: str, version: str) -> bool | None:
        """Whether an adapter may answer by itself; None where it was not measured yet."""
        report = self._answers.get(
            f"{author}/{version}", lambda: Reports(self.engine).newest(author, "answers", version)
        )
        return None if report is None else bool(report.metrics["licensed"])

    @read_again
    def unknown_names(self, author: str, question: str) -> list[str]:
        """Names in a question that stand nowhere in what the author's search finds. In German each noun has a capital;
        one that the author has a word for is no name."""
        names = names_in(question)
        if not names:
            return []
        with self.engine.connect() as session:
            known = bm25.known(session, author, names)
        unknown = [name for name in names if name not in known]
        if unknown and self._another_language(author, question, question) == "de":
            return self._glossary.unsaid(author, unknown)
        return unknown

    def _embedder_of(self, author: str) -> Embedder:
        """The embedder of the passages that are served now: until a new index is complete, that of the old one."""
        name = self._released.get(author, lambda: served_model(self.engine, author) or self.embedder.name)
        if name not in self._embedders:
            try:
                self._embedders[name] = Embedder.named(name, self.settings)
            except ModelNotFound as error:
                log.error("%s is searched with %s, which is gone: %s", author, name, error)
                return self.embedder
        return self._embedders[name]

    def _understood(self, author: str, query: str, given: Filters) -> Understood:
        found = self._extents.get(author, lambda: self._chunks.extent(author))
        return understand(
            query,
            given,
            platforms=found.platforms,
            categories=found.categories,
            published=(found.first, found.last) if found.first and found.last else None,
        )

    def _reranker_of(self, author: str) -> Reranker | None:
        """The cross-encoder trained on this author's questions where it was released, else the configured one."""
        artifact = self._artifacts.get(author, lambda: self._released_reranker(author))
        return self._own_rerankers.of(author, artifact) or self.reranker

    def _released_reranker(self, author: str) -> str | None:
        """The artifact of the newest re-ranker of an author, where it was released."""
        newest = Reports(self.engine).newest(author, "reranker")
        return newest.artifact if newest is not None and newest.metrics.get("released") else None

    def _rerank(self, query: str, found: Found, reranker: Reranker | None) -> None:
        if reranker is None:
            found.note = found.note or "no re-ranker is available; passages are in the order of the search"
            return
        start = time.perf_counter()
        first = found.hits[: self.settings.retrieval.reranked]
        budget = self.settings.retrieval.rerank_budget_ms
        scores = reranker.scores(query, [hit.text for hit in first], budget_ms=budget)
        found.timings_ms["rerank"] = _since(start)
        if len(scores) < len(first):
            found.note = (
                f"the re-ranking budget of {budget} ms ran out after {len(scores)} of {len(first)} passages; "
                "they are in the order of the search"
            )
            return
        for hit, score, blended in zip(first, scores, reranker.blend(first, scores), strict=True):
            hit.scores["rerank"] = round(score, 6)
            hit.score = blended
        found.hits = sorted(first, key=lambda hit: (-hit.score, hit.chunk_id)) + found.hits[len(first) :]
        found.reranker = reranker.name

    @read_again
    def context(
        self, hits: Sequence[Hit], token_budget: int | None = None, *, question: str | None = None
    ) -> list[Passage]:
        """Number passages from 1 and pack them into a budget.

        A passage that repeats one before it is left out, one that does not fit makes way for a shorter one behind it,
        and the first is cut at a sentence rather than left out. What is left of the budget grows the best passages to
        their sections (parent-document retrieval).

        Args:
            question: leave out the sentences that do not help with it, where ``retrieval.compress`` says so.
        """
        budget = self.settings.retrieval.context_tokens if token_budget is None else token_budget
        squeeze = question is not None and self.settings.retrieval.compress
        passages: list[Passage] = []
        seen: list[set[tuple[str, ...]]] = []
        for hit in hits:
            text = hit.text.strip()
            mine = fusion.runs_of(text)
            if not text or any(fusion.same_text(mine, other) for other in seen):
                continue
            if squeeze and question is not None:
                text = compress(text, question)
            size = self._count(text)
            if size > budget:
                if passages:
                    continue
                text = self._cut(text, budget)
                size = self._count(text) if text else 0
                if not text:
                    continue
            budget -= size
            seen.append(mine)
            passages.append(Passage(len(passages) + 1, hit.title, text, hit))
        if self.settings.retrieval.sections and not squeeze:
            return self._with_sections(passages, budget)
        return passages

    def _with_sections(self, passages: Sequence[Passage], budget: int) -> list[Passage]:
        """Passages grown to the section they stand in, the best first, as far as the budget goes."""
        grown = list(passages)
        taken = {passage.hit.chunk_id for passage in passages if passage.hit}
        for index, passage in enumerate(passages):
            hit = passage.hit
            section = self._chunks.section(hit.chunk_id) if hit else []
            if hit is None or any(key in taken and key != hit.chunk_id for key, _ in section):
                continue
            text = "".join(text for _, text in section).strip()
            more = self._count(text) - self._count(passage.text)
            if len(section) > 1 and hit.text.strip() == passage.text and 0 < more <= budget:
                budget -= more
                taken.update(key for key, _ in section)
                grown[index] = replace(passage, text=text)
        return grown

    def _cut(self, text: str, budget: int) -> str:
        kept = ""
        for _, end in sentences(text, inside_code=True):
            if self._count(text[:end]) > budget:
                break
            kept = text[:end]
        return kept.strip()


def _hit(each: Chunk) -> Hit:
    return Hit(
        chunk_id=each.id,
        document_id=each.document_id,
        title=each.title,
        url=each.url,
        platform=each.platform,
        category=each.category,
        published_at=each.published_at,
        heading=each.heading,
        text=each.text,
    )


def _since(start: float) -> float:
    return (time.perf_counter() - start) * 1000
