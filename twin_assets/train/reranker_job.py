"""Trains a cross-encoder on an author's own questions and measures it on documents it never saw, in its own process."""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dagster_pipes import PipesContext, open_dagster_pipes

from twin_assets.dataset.files import read
from twin_assets.evaluate import metrics
from twin_assets.train.pairs import Group, groups, part_of
from twin_resources.config.settings import Settings, load
from twin_resources.database import postgres
from twin_resources.database.schema import chunk
from twin_resources.models import hub
from twin_resources.rag.pipeline import Rag
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.reranker import BLEND_FILE, Reranker, blend
from twin_resources.retrieval.search import Hit
from twin_resources.runtime.processes import end_with_parent

_DEPTH = 20
_QUESTIONS_A_STEP = 2
_MAX_TOKENS = 224
_WEIGHTS = tuple(step / 10 for step in range(11))


def run(context: PipesContext, settings: Settings) -> dict[str, Any]:
    """Mine, train, choose the blend on validation documents, and compare on test documents."""
    author = context.get_extra("author")
    workdir = Path(context.get_extra("workdir"))
    engine = postgres.engine(postgres.databases(settings))
    rag = Rag(settings, engine, Embedder.of(settings))
    questions = read(Path(context.get_extra("dataset_folder")) / "queries.parquet")
    found = {
        question["id"]: rag.search(author, question["text"], k=_DEPTH, rerank=False).hits for question in questions
    }
    context.log.info(f"searched for {len(questions)} questions")
    before = _mean(
        [metrics.ndcg([hit.chunk_id for hit in found[row["id"]]], frozenset(row["relevant"])) for row in questions]
    )
    enough = settings.training.reranker.enough
    if before >= enough:
        context.log.info(f"nDCG@10 {before:.4f} without a re-ranker, so there is nothing to gain")
        reason = f"search alone reaches nDCG@10 {before:.3f}, and from {enough} on nothing is trained"
        return {"folder": None, "metrics": {"ndcg@10 searched": round(before, 4), "reason": reason}}
    parts: dict[str, list[dict[str, Any]]] = {"train": [], "validation": [], "test": []}
    for question in questions:
        parts[part_of(question["document_id"])].append(question)
    texts, siblings = _passages(engine, author)
    mined = {key: [hit.chunk_id for hit in hits] for key, hits in found.items()}
    samples = groups(parts["train"], mined, texts, siblings)
    folder = workdir / "model"
    trained = _train(context, settings, samples, folder)
    scorer = Reranker("trained", folder)
    weight, _ = _best_weight(scorer, parts["validation"], found)
    (folder / BLEND_FILE).write_text(json.dumps({"weight": weight}) + "\n", encoding="utf-8")
    searched, reranked = _compare(scorer, parts["test"], found, weight)
    confidence = metrics.confidence_of_gain(searched, reranked)
    mean_before, mean_after = _mean(searched), _mean(reranked)
    context.log.info(f"nDCG@10 {mean_before:.4f} searched, {mean_after:.4f} re-ranked, confidence {confidence:.3f}")
    return {
        "folder": str(folder),
        "metrics": {
            **trained,
            "questions": {name: len(rows) for name, rows in parts.items()},
            "weight": weight,
            "ndcg@10 searched": round(mean_before, 4),
            "ndcg@10 re-ranked": round(mean_after, 4),
            "confidence": confidence,
        },
    }


def _passages(engine: sa.Engine, author: str) -> tuple[dict[str, str], dict[str, frozenset[str]]]:
    query = sa.select(chunk.c.id, chunk.c.text, chunk.c.document_id, chunk.c.heading).where(
        chunk.c.author == author, chunk.c.served
    )
    texts: dict[str, str] = {}
    sections: dict[tuple[str, ...], set[str]] = {}
    with engine.connect() as session:
        for row in session.execute(query):
            texts[row.id] = row.text
            sections.setdefault((row.document_id, *row.heading), set()).add(row.id)
    return texts, {key: frozenset(section) for section in sections.values() for key in section}


def _train(context: PipesContext, settings: Settings, samples: Sequence[Group], folder: Path) -> dict[str, Any]:
    """Listwise softmax over the passages of each question (Cao et al. 2007, "Learning to Rank: From Pairwise
    Approach to Listwise Approach"), starting from the embedding model's own layers."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    chosen = settings.training.reranker
    torch.manual_seed(settings.training.seed)
    base = hub.resolve(settings.models.embedding, settings)
    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    model: Any = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1, local_files_only=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=chosen.learning_rate, weight_decay=0.01)
    batches = [
        samples[start : start + _QUESTIONS_A_STEP]
        for _ in range(chosen.epochs)
        for start in range(0, len(samples), _QUESTIONS_A_STEP)
    ][: max(1, chosen.max_questions // _QUESTIONS_A_STEP)]
    warm = max(1, len(batches) // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, max(0.0, (len(batches) - step) / max(1, len(batches) - warm)))
    )
    start, losses = time.monotonic(), []
    for step, batch in enumerate(batches):
        pairs = [(group.question, passage) for group in batch for passage in group.passages]
        inputs = tokenizer(
            [one for one, _ in pairs],
            [two for _, two in pairs],
            truncation="only_second",
            max_length=_MAX_TOKENS,
            padding=True,
            return_tensors="pt",
        ).to(device)
        scores = model(**inputs).logits.squeeze(-1)
        sizes = [len(group.passages) for group in batch]
        loss = torch.stack([-torch.log_softmax(part, 0)[0] for part in scores.split(sizes)]).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        if step % 20 == 0:
            context.log.info(f"step {step + 1} of {len(batches)}, loss {losses[-1]:.3f}")
    folder.mkdir(parents=True, exist_ok=True)
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    last = losses[-max(1, len(losses) // 4) :]
    return {
        "groups": len(samples),
        "steps": len(batches),
        "seconds": round(time.monotonic() - start, 1),
        "loss_at_end": round(sum(last) / len(last), 4) if last else None,
    }


def _best_weight(
    scorer: Reranker, questions: Sequence[dict[str, Any]], found: dict[str, list[Hit]]
) -> tuple[float, float]:
    """The share of the cross-encoder that ranks validation questions best; the smallest of equals."""
    scored = _scored(scorer, questions, found)
    results = [(_mean(_ndcgs(scored, questions, weight)), -weight) for weight in _WEIGHTS]
    gain, weight = max(results)
    return -weight, gain


def _compare(
    scorer: Reranker, questions: Sequence[dict[str, Any]], found: dict[str, list[Hit]], weight: float
) -> tuple[list[float], list[float]]:
    scored = _scored(scorer, questions, found)
    return _ndcgs(scored, questions, 0.0), _ndcgs(scored, questions, weight)


def _scored(
    scorer: Reranker, questions: Sequence[dict[str, Any]], found: dict[str, list[Hit]]
) -> list[tuple[list[Hit], list[float]]]:
    return [
        (hits, scorer.scores(question["text"], [hit.text for hit in hits], budget_ms=10**9))
        for question in questions
        for hits in (found[question["id"]],)
    ]


def _ndcgs(
    scored: Sequence[tuple[list[Hit], list[float]]], questions: Sequence[dict[str, Any]], weight: float
) -> list[float]:
    values = []
    for (hits, scores), question in zip(scored, questions, strict=True):
        mixed = blend([hit.score for hit in hits], scores, weight) if hits else []
        order = sorted(range(len(hits)), key=lambda index: (-mixed[index], hits[index].chunk_id))
        values.append(metrics.ndcg([hits[index].chunk_id for index in order], frozenset(question["relevant"])))
    return values


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


if __name__ == "__main__":
    end_with_parent()
    warnings.simplefilter("ignore")
    with open_dagster_pipes() as pipes:
        pipes.report_custom_message(run(pipes, load(pipes.get_extra("config"))))
    sys.exit(0)
