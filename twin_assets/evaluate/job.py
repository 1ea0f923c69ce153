"""Measures search and language models, in a process of its own; runs the very code that serves."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path
from typing import Any

from dagster_pipes import PipesContext, open_dagster_pipes

from twin_assets.dataset.encode import encode_rows
from twin_assets.dataset.files import read_queries, read_samples
from twin_assets.evaluate import metrics
from twin_resources.config.settings import Settings, load
from twin_resources.database import postgres
from twin_resources.models import causal
from twin_resources.rag import prompt
from twin_resources.rag.pipeline import Rag
from twin_resources.retrieval import metrics as ranking
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.reranker import Reranker
from twin_resources.runtime.processes import end_with_parent

_DEPTH = max(ranking.DEPTHS)
_HELD_OUT = 96
"""Held-out answers that are scored, at most: enough for a narrow interval, and minutes on a laptop."""
_SHOWN = 2
_SHOWN_TOKENS = 64
_SHOWN_CONTEXT = 400


def _rag(settings: Settings) -> Rag:
    engine = postgres.engine(postgres.databases(settings.postgres))
    return Rag(settings, engine, Embedder.of(settings), Reranker.of(settings))


def retrieval(context: PipesContext, settings: Settings) -> dict[str, Any]:
    """nDCG, recall and MRR of each way of searching, on every question, and by kind of question."""
    author = context.get_extra("author")
    queries = read_queries(Path(context.get_extra("dataset_folder")))
    rag = _rag(settings)
    relevant = [frozenset(query.relevant) for query in queries]
    ways: dict[str, dict[str, Any]] = {
        "dense": {"mode": "dense", "rerank": False, "expand": False},
        "lexical": {"mode": "lexical", "rerank": False, "expand": False},
        "hybrid": {"mode": "hybrid", "rerank": False, "expand": False},
        "hybrid + expansion": {"mode": "hybrid", "rerank": False, "expand": True},
    }
    if rag.reranker:
        ways["hybrid + expansion + re-ranker"] = {"mode": "hybrid", "rerank": True, "expand": True}
    found: dict[str, Any] = {}
    for way, options in ways.items():
        rankings = [
            [hit.chunk_id for hit in rag.search(author, query.text, k=_DEPTH, **options).hits] for query in queries
        ]
        found[way] = ranking.summarise(rankings, relevant)
        for kind in sorted({query.kind for query in queries}):
            chosen = [index for index, query in enumerate(queries) if query.kind == kind]
            found[way][f"ndcg@10 {kind}"] = ranking.summarise(
                [rankings[index] for index in chosen], [relevant[index] for index in chosen]
            )["ndcg@10"]
        context.log.info(f"{way}: nDCG@10 {found[way].get('ndcg@10', 0):.3f} on {len(queries)} questions")
    return {"queries": len(queries), "reranker": rag.reranker.name if rag.reranker else None, "ways": found}


def generation(context: PipesContext, settings: Settings) -> dict[str, Any]:
    """Loss on held-out answers of the base and of each adapter, and a few answers side by side."""
    import peft
    import torch

    extra = context.get_extra
    model, tokenizer = causal.load_base(Path(extra("base_folder")), settings.models.dtype)
    held_out = sorted(read_samples(Path(extra("dataset_folder")) / "test.parquet"), key=lambda each: each.id)[
        :_HELD_OUT
    ]
    encoded = encode_rows(tokenizer, held_out, extra("author_name"), extra("max_sample_tokens"))
    losses = {"base": list(causal.losses(model, encoded, tokenizer.pad_token_id))}
    context.log.info(f"base: loss {metrics.mean_loss(losses['base']):.3f} on {len(held_out)} held-out answers")
    adapted: Any = None
    for version, folder in extra("adapters").items():
        if adapted is None:
            adapted = peft.PeftModel.from_pretrained(model, folder, adapter_name=version)
        else:
            adapted.load_adapter(folder, adapter_name=version)
        adapted.set_adapter(version)
        losses[version] = list(causal.losses(adapted.eval(), encoded, tokenizer.pad_token_id))
        context.log.info(f"{version}: loss {metrics.mean_loss(losses[version]):.3f}")
    means = {name: round(metrics.mean_loss(values), 4) for name, values in losses.items()}
    low, high = metrics.gain_interval(losses["base"], losses[extra("candidate")])
    shown = []
    rag = _rag(settings)
    torch.manual_seed(0)
    for each in [each for each in held_out if each.kind in ("section", "opening")][:_SHOWN]:
        hits = rag.search(extra("author"), each.instruction, k=_DEPTH).hits
        others = [hit for hit in hits if hit.document_id != each.document_id]
        packed = rag.context(others[:3], _SHOWN_CONTEXT)
        answers = {}
        for name, passages, version in (
            ("base", (), None),
            ("twin", (), extra("candidate")),
            ("twin + passages", packed, extra("candidate")),
        ):
            turns = prompt.messages(each.instruction, passages, author=extra("author_name"))
            answers[name] = _answer(adapted, tokenizer, prompt.render(tokenizer, turns), version)
        shown.append({"instruction": each.instruction, "author": each.answer[:500], **answers})
        context.log.info(f"answered: {each.instruction[:60]}")
    return {
        "samples": len(held_out),
        "answer_tokens": sum(sample.answer_length for sample in encoded),
        "loss": means,
        "perplexity": {name: metrics.perplexity(loss) for name, loss in means.items()},
        "gain": round(1 - means[extra("candidate")] / means["base"], 4) if means["base"] else 0.0,
        "gain_interval": [low, high],
        "shown": shown,
    }


def _answer(model: Any, tokenizer: Any, text: str, version: str | None) -> str:
    import contextlib

    import torch

    inputs = tokenizer(text, return_tensors="pt", add_special_tokens=False).to(model.device)
    if version is not None:
        model.set_adapter(version)
    with torch.inference_mode(), contextlib.nullcontext() if version is not None else model.disable_adapter():
        written = model.generate(
            **inputs,
            max_new_tokens=_SHOWN_TOKENS,
            do_sample=False,
            repetition_penalty=1.15,
            pad_token_id=tokenizer.pad_token_id,
        )
    return tokenizer.decode(written[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()


if __name__ == "__main__":
    end_with_parent()
    warnings.simplefilter("ignore")
    logging.getLogger().setLevel(logging.ERROR)
    with open_dagster_pipes() as pipes:
        measure = {"retrieval": retrieval, "generation": generation}[pipes.get_extra("measure")]
        pipes.report_custom_message(measure(pipes, load(pipes.get_extra("config"))))
    sys.exit(0)
