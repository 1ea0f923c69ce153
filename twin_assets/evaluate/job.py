"""Measures search and language models, in a process of its own; runs the very code that serves."""

from __future__ import annotations

import functools
import logging
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dagster_pipes import PipesContext, open_dagster_pipes

from twin_assets.dataset.files import read_queries, read_samples
from twin_assets.evaluate import answering
from twin_assets.evaluate import shadow as shadowing
from twin_assets.evaluate import style as writing
from twin_assets.evaluate.engine import engine_of
from twin_assets.evaluate.generation.measure import generation
from twin_assets.evaluate.questions import elsewhere, headings, is_for_calibration, rated, reworded
from twin_resources.config.settings import Settings, load
from twin_resources.database.shards import author_engine
from twin_resources.generation.base import written
from twin_resources.models import hub
from twin_resources.rag import prompt
from twin_resources.rag.echo import without_echo
from twin_resources.rag.pipeline import Rag
from twin_resources.rag.policy import look
from twin_resources.retrieval import metrics as ranking
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.reranker import Reranker
from twin_resources.runtime.processes import end_with_parent
from twin_resources.storage.calls.interactions import Interactions
from twin_resources.storage.calls.shadows import Shadow, Shadows
from twin_resources.storage.chunk_store import ChunkStore
from twin_resources.storage.clean_store import CleanStore
from twin_resources.style.profile import documents_of
from twin_resources.style.reference import packaged

_DEPTH = max(ranking.DEPTHS)
_SHOWN_CONTEXT = 400
_CALIBRATED = 200
"""Questions that the threshold of silence is set on: enough to promise a share of 5%."""
_ASKED = 60


def _rag(settings: Settings, author_id: str) -> Rag:
    engine = author_engine(settings, author_id)
    return Rag(settings, engine, Embedder.of(settings), Reranker.of(settings))


def retrieval(context: PipesContext, settings: Settings) -> dict[str, Any]:
    """nDCG, recall and MRR of each way of searching, on every question, and by kind of question."""
    author = context.get_extra("author")
    rag = _rag(settings, author)
    there = {chunk.id for chunk in ChunkStore(rag.engine).current(author)}
    queries = read_queries(Path(context.get_extra("dataset_folder")), among=there)
    relevant = [frozenset(query.relevant) for query in queries]
    ways: dict[str, dict[str, Any]] = {
        "dense": {"mode": "dense", "rerank": False, "expand": False},
        "lexical": {"mode": "lexical", "rerank": False, "expand": False},
        "hybrid": {"mode": "hybrid", "rerank": False, "expand": False},
        "hybrid + expansion": {"mode": "hybrid", "rerank": False, "expand": True},
        "as served": {"read": settings.retrieval.read_questions},
    }
    rag.embedder.encode_questions([query.text for query in queries])
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


def _passages_elsewhere(rag: Rag, author: str, instruction: str, document_id: str) -> Sequence[prompt.Passage]:
    """What is found for an instruction outside the document that it is about."""
    found = look(rag, author, instruction, k=_DEPTH, weigh=False).found
    others = [hit for hit in found.hits if hit.document_id != document_id]
    return rag.context(others[:3], _SHOWN_CONTEXT)


def silence(context: PipesContext, settings: Settings) -> dict[str, Any]:
    """The threshold of silence, calibrated on half of the author's documents."""
    author = context.get_extra("author")
    rag = _rag(settings, author)
    chunks = [chunk for chunk in ChunkStore(rag.engine).current(author) if is_for_calibration(chunk.document_id)]
    asked = [*reworded(chunks, _CALIBRATED), *elsewhere()]
    rag.embedder.encode_questions([question.text for question in asked])
    return answering.calibrate(rag, author, asked, settings.answers.refused, context.log.info)


def answers(context: PipesContext, settings: Settings) -> dict[str, Any]:
    """How the other half of the documents answers, and how much of what the newest adapter writes has support."""
    author, extra = context.get_extra("author"), context.extras
    rag = _rag(settings, author)
    store = ChunkStore(rag.engine)
    chunks = [chunk for chunk in store.current(author) if not is_for_calibration(chunk.document_id)]
    praised = rated(Interactions(rag.engine).praised(author, _ASKED))
    titled = headings(store.current(author), _ASKED, lambda document_id: not is_for_calibration(document_id))
    asked = [*reworded(chunks, _ASKED), *titled, *praised, *elsewhere()]
    outcome = answering.ask(rag, author, asked, context.log.info)
    figures: dict[str, Any] = {
        "threshold": rag.threshold(author),
        "kinds": answering.figures(outcome),
        "shown": answering.shown(outcome),
        "candidate": extra.get("candidate"),
        "arms": {},
        "licensed": False,
        "because": "there is no adapter to measure",
    }
    if candidate := extra.get("candidate"):
        test = {each.document_id for each in read_samples(Path(extra["dataset_folder"]) / "test.parquet")}
        held_out = [chunk for chunk in store.current(author) if chunk.document_id in test]
        folder = hub.resolve(extra["base"], settings)
        generator = engine_of(extra["base"], folder, settings, {candidate: Path(extra["adapter"])})
        count = settings.answers.generated
        posed = headings(store.current(author), count, test.__contains__) or reworded(held_out, count)
        name = settings.author(author).name
        arms = answering.arms(candidate)
        figures["arms"] = answering.generated(rag, author, name, generator, arms, posed, context.log.info)
        generator.close()
        judged = figures["arms"].get(answering.JUDGED)
        if judged is None:
            figures["because"] = "no held-out document asks a question"
        else:
            figures["licensed"], figures["because"] = answering.licence(judged, settings.answers.licence)
    return figures


def style(context: PipesContext, settings: Settings) -> dict[str, Any]:
    """How much what the base, the newest adapter and the champion write sounds like the author, and what the adapter
    wrote in pairs with the author's own, which readers judge where verifiers cannot as well."""
    extra, rag = context.get_extra, _rag(settings, context.get_extra("author"))
    author = extra("author")
    documents = list(documents_of(CleanStore(rag.engine), author))
    texts = {each.document_id: each.text for each in documents}
    held_out = read_samples(Path(extra("dataset_folder")) / "test.parquet")
    asked = writing.prompts(held_out, texts, settings.evaluation.style_documents)
    adapters = {version: Path(folder) for version, folder in extra("adapters").items()}
    generator = engine_of(extra("base"), Path(extra("base_folder")), settings, adapters)

    @functools.cache
    def passages_for(each: writing.Prompt) -> Sequence[prompt.Passage]:
        return _passages_elsewhere(rag, author, each.instruction, each.document_id)

    def writer(version: str | None, passages: bool) -> writing.Write:
        @functools.cache
        def write(prompts: tuple[writing.Prompt, ...]) -> list[str]:
            turns = [
                prompt.messages(each.instruction, passages_for(each) if passages else (), author=extra("author_name"))
                for each in prompts
            ]
            made = written(generator, turns, version=version, max_tokens=settings.evaluation.style_tokens)
            return [without_echo(each.instruction, text.text) for each, text in zip(prompts, made, strict=True)]

        return write

    candidate, champion = extra("candidate"), extra("champion")
    writers = {"base": writer(None, False), "adapter": writer(candidate, False)}
    if settings.evaluation.style_passages:
        writers |= {"base + passages": writer(None, True), "adapter + passages": writer(candidate, True)}
    if champion in adapters and champion != candidate:
        writers["champion"] = writer(champion, False)
    reference = packaged()
    encode = rag.embedder.encode if reference.model == rag.embedder.name else None
    found = writing.measure(author, documents, asked, reference, writers, encode=encode, progress=context.log.info)
    pairs = [asdict(each) for each in writing.blind_pairs(asked, writers["adapter"])]
    if settings.evaluation.judge.url:
        by = {name: writers[name](tuple(asked)) for name in ("base", "adapter", "champion") if name in writers}
        found["to_judge"] = [
            {
                "document_id": each.document_id,
                "instruction": each.instruction,
                "the author": each.own,
                **{name: by[name][place] for name in by},
            }
            for place, each in enumerate(asked)
        ]
    generator.close()
    return {"candidate": candidate, "champion": champion, "pairs": pairs, **found}


def shadow(context: PipesContext, settings: Settings) -> dict[str, Any]:
    """How the newest adapter answers what readers asked, beside the champion. The answers are kept with the calls, and
    the figures hold no word of them."""
    extra, rag = context.get_extra, _rag(settings, context.get_extra("author"))
    author, candidate, champion = extra("author"), extra("candidate"), extra("champion")
    shadows = Shadows(rag.engine)
    posed = shadowing.pose(rag, author, shadows.of_calls(extra("traces")))
    adapters = {version: Path(folder) for version, folder in extra("adapters").items()}
    generator = engine_of(extra("base"), Path(extra("base_folder")), settings, adapters)
    tokens, answers = settings.evaluation.style_tokens, {}
    for version in (candidate, champion):
        answers[version] = shadowing.answer(
            generator, posed, name=extra("author_name"), version=version, max_tokens=tokens
        )
        context.log.info(f"{version} answered {len(posed)} questions that readers asked")
    generator.close()
    pairs = list(zip(posed, answers[candidate], answers[champion], strict=True))
    shadows.keep(
        author,
        candidate,
        [Shadow(each.logged.trace_id, each.logged.question, mine, champion, theirs) for each, mine, theirs in pairs],
    )
    reference = packaged()
    encode = rag.embedder.encode if reference.model == rag.embedder.name else None
    hear, unheard = shadowing.hearing(author, list(documents_of(CleanStore(rag.engine), author)), reference, encode)
    mine, theirs = (
        [shadowing.judge(each, text, hear) for each, text in zip(posed, answers[version], strict=True)]
        for version in (candidate, champion)
    )
    measures = shadowing.compare([each.logged for each in posed], mine, theirs)
    return {
        "candidate": candidate,
        "champion": champion,
        "questions": len(posed),
        "measures": measures,
        "unheard": unheard,
    }


if __name__ == "__main__":
    end_with_parent()
    warnings.simplefilter("ignore")
    logging.getLogger().setLevel(logging.ERROR)
    with open_dagster_pipes() as pipes:
        measures = (retrieval, generation, silence, answers, style, shadow)
        measure = {each.__name__: each for each in measures}[pipes.get_extra("measure")]
        pipes.report_custom_message(measure(pipes, load(pipes.get_extra("config"))))
    sys.exit(0)
