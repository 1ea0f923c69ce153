"""Trains a cross-encoder on an author's own questions and measures it on documents it never saw, in its own process."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dagster_pipes import PipesContext, open_dagster_pipes

from twin_assets.dataset.files import read_queries
from twin_assets.dataset.generators.retrieval import Query
from twin_assets.train.cross_encoder import train_cross_encoder
from twin_assets.train.pairs import groups
from twin_resources.config.settings import Settings, load
from twin_resources.database.shards import author_engine
from twin_resources.models import hub
from twin_resources.rag.pipeline import Rag
from twin_resources.retrieval import metrics
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.reranker import BLEND_FILE, Reranker, blend
from twin_resources.retrieval.search import Hit
from twin_resources.runtime.processes import end_with_parent
from twin_resources.storage.chunk_store import Chunk, ChunkStore

_DEPTH = 20
_WEIGHTS = tuple(step / 10 for step in range(11))


def run(context: PipesContext, settings: Settings) -> dict[str, Any]:
    """Mine, train, choose the blend on validation documents, and compare on test documents."""
    author = context.get_extra("author")
    workdir = Path(context.get_extra("workdir"))
    engine = author_engine(settings, author)
    rag = Rag(settings, engine, Embedder.of(settings))
    texts, siblings = _passages(ChunkStore(engine).current(author))
    questions = read_queries(Path(context.get_extra("dataset_folder")), among=texts)
    if not any(question.part for question in questions):
        raise ValueError("the retrieval dataset does not say what to learn from; materialise datasets/retrieval again")
    rag.embedder.encode_questions([question.text for question in questions])
    found = {question.id: rag.search(author, question.text, k=_DEPTH, rerank=False).hits for question in questions}
    context.log.info(f"searched for {len(questions)} questions")
    before = _mean(
        [metrics.ndcg([hit.chunk_id for hit in found[each.id]], frozenset(each.relevant)) for each in questions]
    )
    enough = settings.training.reranker.enough
    if before >= enough:
        context.log.info(f"nDCG@10 {before:.4f} without a re-ranker, so there is nothing to gain")
        reason = f"search alone reaches nDCG@10 {before:.3f}, and from {enough} on nothing is trained"
        return {"folder": None, "metrics": {"ndcg@10 searched": round(before, 4), "reason": reason}}
    parts: dict[str, list[Query]] = {"train": [], "validation": [], "test": []}
    for question in questions:
        if question.part:
            parts[question.part].append(question)
    mined = {key: [hit.chunk_id for hit in hits] for key, hits in found.items()}
    samples = groups(parts["train"], mined, texts, siblings)
    folder = workdir / "model"
    trained = train_cross_encoder(
        hub.resolve(settings.models.embedding, settings),
        samples,
        settings.training.reranker,
        folder,
        seed=settings.training.seed,
        log=context.log.info,
    )
    scorer = Reranker("trained", folder)
    weight, _ = _best_weight(scorer, parts["validation"], found)
    (folder / BLEND_FILE).write_text(json.dumps({"weight": weight}) + "\n", encoding="utf-8")
    searched, reranked = _compare(scorer, parts["test"], found, weight)
    documents = [question.document_id for question in parts["test"]]
    confidence = metrics.confidence_of_gain(searched, reranked, documents)
    mean_before, mean_after = _mean(searched), _mean(reranked)
    context.log.info(f"nDCG@10 {mean_before:.4f} searched, {mean_after:.4f} re-ranked, confidence {confidence:.3f}")
    return {
        "folder": str(folder),
        "metrics": {
            **trained,
            "questions": {name: len(rows) for name, rows in parts.items()},
            "test_documents": len(set(documents)),
            "weight": weight,
            "ndcg@10 searched": round(mean_before, 4),
            "ndcg@10 re-ranked": round(mean_after, 4),
            "confidence": confidence,
        },
    }


def _passages(chunks: Iterable[Chunk]) -> tuple[dict[str, str], dict[str, frozenset[str]]]:
    """The text of each passage, and the passages of its section, itself included."""
    texts: dict[str, str] = {}
    sections: dict[tuple[str, ...], set[str]] = {}
    for each in chunks:
        texts[each.id] = each.text
        sections.setdefault((each.document_id, *each.heading), set()).add(each.id)
    return texts, {key: frozenset(section) for section in sections.values() for key in section}


def _best_weight(scorer: Reranker, questions: Sequence[Query], found: dict[str, list[Hit]]) -> tuple[float, float]:
    """The share of the cross-encoder that ranks validation questions best; the smallest of equals."""
    scored = _scored(scorer, questions, found)
    results = [(_mean(_ndcgs(scored, questions, weight)), -weight) for weight in _WEIGHTS]
    gain, weight = max(results)
    return -weight, gain


def _compare(
    scorer: Reranker, questions: Sequence[Query], found: dict[str, list[Hit]], weight: float
) -> tuple[list[float], list[float]]:
    scored = _scored(scorer, questions, found)
    return _ndcgs(scored, questions, 0.0), _ndcgs(scored, questions, weight)


def _scored(
    scorer: Reranker, questions: Sequence[Query], found: dict[str, list[Hit]]
) -> list[tuple[list[Hit], list[float]]]:
    return [
        (hits, scorer.scores(question.text, [hit.text for hit in hits], budget_ms=10**9))
        for question in questions
        for hits in (found[question.id],)
    ]


def _ndcgs(scored: Sequence[tuple[list[Hit], list[float]]], questions: Sequence[Query], weight: float) -> list[float]:
    values = []
    for (hits, scores), question in zip(scored, questions, strict=True):
        mixed = blend([hit.score for hit in hits], scores, weight) if hits else []
        order = sorted(range(len(hits)), key=lambda index: (-mixed[index], hits[index].chunk_id))
        values.append(metrics.ndcg([hits[index].chunk_id for index in order], frozenset(question.relevant)))
    return values


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


if __name__ == "__main__":
    end_with_parent()
    warnings.simplefilter("ignore")
    with open_dagster_pipes() as pipes:
        pipes.report_custom_message(run(pipes, load(pipes.get_extra("config"))))
    sys.exit(0)
