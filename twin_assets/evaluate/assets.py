"""``reports/retrieval`` and ``reports/generation``: how good search and the adapter are, on text held out."""

import html
import tempfile
from pathlib import Path
from typing import Any

import dagster as dg

from twin_assets import keys
from twin_assets.evaluate import report
from twin_assets.metadata import OWNERS, image, table
from twin_assets.partitions import AUTHORS
from twin_resources.models import hub
from twin_resources.rag import prompt
from twin_resources.runtime.launcher import Compute
from twin_resources.runtime.resources import Twin
from twin_resources.sources.base import CATEGORIES
from twin_resources.text.identity import content_id

CODE_VERSION = "2"


@dg.asset(
    key=keys.RETRIEVAL_REPORT,
    deps=[keys.RETRIEVAL, *keys.EMBEDDINGS],
    group_name="evaluate",
    kinds={"python", "matplotlib"},
    owners=OWNERS,
    partitions_def=AUTHORS,
    code_version=CODE_VERSION,
    pool="embed",
    description="nDCG@10, recall and MRR of dense, lexical and hybrid search (and of the re-ranker where there is "
    "one), through the code that serves.",
)
def retrieval_report(context: dg.AssetExecutionContext, twin: Twin, compute: Compute) -> dg.MaterializeResult:
    author_id = context.partition_key
    dataset = twin.datasets.newest(author_id, "retrieval")
    if dataset is None:
        raise dg.Failure(description=f"{author_id} has no retrieval dataset yet; materialise datasets/retrieval first")
    index = twin.vectors
    report_id = content_id(
        "retrieval-report",
        CODE_VERSION,
        dataset.id,
        *(index.snapshot_hash(author_id, category) for category in CATEGORIES),
        twin.settings.models.reranker,
    )
    known = twin.reports.get(report_id)
    if known is None:
        figures = compute.launch(
            context,
            "twin_assets.evaluate.job",
            {
                "measure": "retrieval",
                "author": author_id,
                "config": str(twin.settings.config),
                "dataset_folder": str(twin.artifacts.folder(dataset.artifact)),
            },
        )
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _write_retrieval(folder, figures, twin.author(author_id).name)
            artifact = twin.artifacts.put("reports/retrieval", folder)
        known = twin.reports.add(report_id, author_id, "retrieval", dataset.id, figures, artifact)
    figures = known.metrics
    folder = twin.artifacts.folder(known.artifact)
    best = figures["ways"].get("hybrid", {})
    return dg.MaterializeResult(
        data_version=dg.DataVersion(report_id),
        metadata={
            "questions": figures["queries"],
            "ndcg_at_10_hybrid": best.get("ndcg@10", 0.0),
            "reranker": figures["reranker"] or "none",
            "figures": table(
                ({"search": way, **values} for way, values in figures["ways"].items()),
                ("search", "ndcg@10", "recall@1", "recall@5", "recall@10", "recall@50", "mrr"),
            ),
            "plot": image(folder / "retrieval.png"),
            "report": dg.MetadataValue.path(str(folder / "report.html")),
        },
    )


def _write_retrieval(folder: Path, figures: dict[str, Any], name: str) -> None:
    shown = {
        way: {metric: values[metric] for metric in ("ndcg@10", "recall@5", "recall@10", "mrr") if metric in values}
        for way, values in figures["ways"].items()
    }
    report.bars(shown, folder / "retrieval.png", "mean over questions")
    rows = [{"search": way, **values} for way, values in figures["ways"].items()]
    text = report.page(
        f"Search over {name}",
        f"{figures['queries']} questions made from headings and keywords. Their words stand in the passages, so "
        "read the figures against each other.",
        [("Figures", folder / "retrieval.png"), ("All metrics", report.table(rows))],
    )
    (folder / "report.html").write_text(text, encoding="utf-8")


@dg.asset(
    key=keys.GENERATION_REPORT,
    deps=[keys.SFT_ADAPTER, keys.INSTRUCT, *keys.EMBEDDINGS],
    group_name="evaluate",
    kinds={"pytorch", "matplotlib"},
    owners=OWNERS,
    partitions_def=AUTHORS,
    code_version=CODE_VERSION,
    pool="gpu",
    description="Loss and perplexity on held-out answers: base, newest adapter and champion on the same text, and "
    "a few answers side by side.",
)
def generation_report(context: dg.AssetExecutionContext, twin: Twin, compute: Compute) -> dg.MaterializeResult:
    author = twin.author(context.partition_key)
    dataset = twin.datasets.newest(author.id, "instruct")
    trained = [found for found in twin.releases.list(author.id) if dataset and found.dataset_id == dataset.id]
    if dataset is None or not trained:
        raise dg.Failure(
            description=f"{author.id} has no adapter of its newest dataset; materialise models/sft_adapter"
        )
    candidate = trained[0]
    champion = twin.releases.alias(author.id, "champion")
    compared = [candidate]
    if champion and champion.version != candidate.version and champion.base == candidate.base:
        compared.append(champion)
    report_id = content_id(
        "generation-report", CODE_VERSION, prompt.CODE_VERSION, dataset.id, *(found.version for found in compared)
    )
    known = twin.reports.get(report_id) or (
        twin.reports.newest(author.id, "generation", candidate.version)
        if champion and champion.version == candidate.version
        else None
    )
    if known is None:
        figures = compute.launch(
            context,
            "twin_assets.evaluate.job",
            {
                "measure": "generation",
                "author": author.id,
                "author_name": author.name,
                "config": str(twin.settings.config),
                "dataset_folder": str(twin.artifacts.folder(dataset.artifact)),
                "base_folder": str(hub.resolve(candidate.base, twin.settings)),
                "adapters": {found.version: str(twin.artifacts.folder(found.artifact)) for found in compared},
                "candidate": candidate.version,
                "max_sample_tokens": twin.settings.training.max_sample_tokens,
            },
            python=twin.settings.training.python,
        )
        figures = {**figures, "candidate": candidate.version, "champion": champion.version if champion else None}
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _write_generation(folder, figures, author.name)
            artifact = twin.artifacts.put("reports/generation", folder)
        known = twin.reports.add(report_id, author.id, "generation", candidate.version, figures, artifact)
    figures = known.metrics
    folder = twin.artifacts.folder(known.artifact)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(known.id),
        metadata={
            "version": candidate.version,
            "held_out_answers": figures["samples"],
            "loss": table(
                (
                    {"model": name, "loss": loss, "perplexity": figures["perplexity"][name]}
                    for name, loss in figures["loss"].items()
                ),
                ("model", "loss", "perplexity"),
            ),
            "gain_over_base": figures["gain"],
            "gain_95_interval": str(figures["gain_interval"]),
            "plot": image(folder / "perplexity.png"),
            "answers": table(figures["shown"], ("instruction", "author", "base", "twin", "twin + passages")),
            "report": dg.MetadataValue.path(str(folder / "report.html")),
        },
    )


def _write_generation(folder: Path, figures: dict[str, Any], name: str) -> None:
    report.bars({"held-out": figures["perplexity"]}, folder / "perplexity.png", "perplexity, lower is better")
    rows = [
        {"model": model, "loss a token": loss, "perplexity": figures["perplexity"][model]}
        for model, loss in figures["loss"].items()
    ]
    answers = "".join(
        f"<h3>{html.escape(shown['instruction'])}</h3>"
        + report.table([{"who": who, "text": shown[who]} for who in ("author", "base", "twin", "twin + passages")])
        for shown in figures["shown"]
    )
    low, high = figures["gain_interval"]
    text = report.page(
        f"{figures['candidate']} writes as {name}",
        f"{figures['samples']} answers ({figures['answer_tokens']} tokens) of documents that no training saw. The loss "
        f"falls by {figures['gain']:.1%} against the base, with a 95% interval of {low:.1%} to {high:.1%}.",
        [
            ("Perplexity", folder / "perplexity.png"),
            ("Figures", report.table(rows)),
            ("Answers side by side", answers),
        ],
    )
    (folder / "report.html").write_text(text, encoding="utf-8")


evaluate_assets = [retrieval_report, generation_report]
