"""How good search, silence, answers and the style of the adapter are, on text held out: the reports."""

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import dagster as dg

from twin_assets import keys
from twin_assets.evaluate import answering, judging, pages, questions, style
from twin_assets.metadata import OWNERS, artifact, image, table
from twin_assets.partitions import AUTHORS
from twin_resources.generation.completions import Completions
from twin_resources.models import hub
from twin_resources.rag import prompt
from twin_resources.runtime.launcher import Compute
from twin_resources.runtime.resources import Twin
from twin_resources.sources.base import CATEGORIES
from twin_resources.storage.datasets import DatasetVersion
from twin_resources.storage.releases import Release
from twin_resources.storage.reports import Report
from twin_resources.style.blind.pairs import Pair, pairs_in
from twin_resources.text.identity import content_id

CODE_VERSION = "9"
ANSWERS_VERSION = "9"


def measured(
    context: dg.AssetExecutionContext,
    twin: Twin,
    compute: Compute,
    report_id: str,
    *,
    kind: str,
    subject: str,
    write: Callable[[Path, Any, str], None],
    extras: Mapping[str, Any] = MappingProxyType({}),
    python: str | None = None,
) -> Report:
    """Have the job measure, write the page of its figures, and keep both as a report of ``kind`` on ``subject``."""
    author = twin.author(context.partition_key)
    told = {"measure": kind, "author": author.id, "config": str(twin.settings.config), **extras}
    figures = compute.launch(context, "twin_assets.evaluate.job", told, python=python)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, figures, author.name)
        artifact = twin.artifacts.put(f"reports/{kind}", folder)
    return twin.reports.add(report_id, author.id, kind, subject, figures, artifact)


@dataclass(frozen=True)
class Trained:
    """The adapter of the newest dataset, and the champion if there is one."""

    dataset: DatasetVersion
    candidate: Release
    champion: Release | None

    @property
    def compared(self) -> list[Release]:
        """What is measured side by side: the candidate, and the champion where it is another one over the same base."""
        champion = self.champion
        other = champion and champion.version != self.candidate.version and champion.base == self.candidate.base
        return [self.candidate, champion] if champion and other else [self.candidate]


def trained(twin: Twin, author_id: str) -> Trained:
    """What is to be measured of an author.

    Raises:
        dg.Failure: there is no adapter of the dataset in use.
    """
    dataset = twin.training_dataset(author_id)
    candidate = twin.releases.newest_of(author_id, dataset.id) if dataset else None
    if dataset is None or candidate is None:
        raise dg.Failure(
            description=f"{author_id} has no adapter of its newest dataset; materialise models/sft_adapter"
        )
    return Trained(dataset, candidate, twin.releases.alias(author_id, "champion"))


def models(twin: Twin, found: Trained, author_name: str) -> dict[str, Any]:
    """What a job is told of the models that it measures."""
    base = found.candidate.base
    return {
        "author_name": author_name,
        "dataset_folder": str(twin.artifacts.folder(found.dataset.artifact)),
        "base": base,
        "base_folder": str(hub.resolve(base, twin.settings)),
        "adapters": folders(twin, found.compared),
        "candidate": found.candidate.version,
        "champion": found.champion.version if found.champion else None,
    }


def folders(twin: Twin, adapters: Iterable[Release]) -> dict[str, str]:
    """Where adapters lie, by version."""
    return {each.version: str(twin.artifacts.folder(each.artifact)) for each in adapters}


def answering_parts(twin: Twin, author_id: str) -> tuple[str, ...]:
    """What decides how questions are answered: the code, the embedder and the passages that are served."""
    passages = (twin.vectors.snapshot_hash(author_id, category) for category in CATEGORIES)
    return (ANSWERS_VERSION, questions.CODE_VERSION, twin.settings.models.embedding, *passages)


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
    known = twin.reports.get(report_id) or measured(
        context,
        twin,
        compute,
        report_id,
        kind="retrieval",
        subject=dataset.id,
        extras={"dataset_folder": str(twin.artifacts.folder(dataset.artifact))},
        write=pages.write_retrieval,
    )
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
            **artifact(twin.artifacts.url, known.artifact),
        },
    )


@dg.asset(
    key=keys.SILENCE_REPORT,
    deps=keys.EMBEDDINGS,
    group_name="evaluate",
    kinds={"python", "matplotlib"},
    owners=OWNERS,
    partitions_def=AUTHORS,
    code_version=ANSWERS_VERSION,
    pool="embed",
    description="From which evidence on a question to this author is answered: calibrated so that at most a configured "
    "share of answerable questions is refused, and set against questions about what the author never wrote of.",
)
def silence_report(context: dg.AssetExecutionContext, twin: Twin, compute: Compute) -> dg.MaterializeResult:
    author = twin.author(context.partition_key)
    allowed = twin.settings.answers.refused
    report_id = content_id("silence-report", *answering_parts(twin, author.id), allowed)
    known = twin.reports.get(report_id) or measured(
        context, twin, compute, report_id, kind="silence", subject=author.id, write=pages.write_silence
    )
    figures = known.metrics
    folder = twin.artifacts.folder(known.artifact)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(report_id),
        metadata={
            "threshold": figures["threshold"],
            "answerable_questions": len(figures["answerable"]),
            "refused_elsewhere": figures["refused_elsewhere"]["share"],
            "answered_elsewhere": table(figures["answered_elsewhere"], ("evidence", "question")),
            "plot": image(folder / "evidence.png"),
            "report": dg.MetadataValue.path(str(folder / "report.html")),
            **artifact(twin.artifacts.url, known.artifact),
        },
    )


@dg.asset(
    key=keys.ANSWERS_REPORT,
    deps=[keys.SILENCE_REPORT, keys.DPO_ADAPTER, keys.INSTRUCT],
    group_name="evaluate",
    kinds={"pytorch", "matplotlib"},
    owners=OWNERS,
    partitions_def=AUTHORS,
    code_version=answering.CODE_VERSION,
    pool="gpu",
    description="How held-out questions are answered through the policy that serves, and whether the newest adapter "
    "holds a licence to answer by itself: how many of its sentences the passages support.",
)
def answers_report(context: dg.AssetExecutionContext, twin: Twin, compute: Compute) -> dg.MaterializeResult:
    author = twin.author(context.partition_key)
    dataset = twin.training_dataset(author.id)
    candidate = twin.releases.newest_of(author.id, dataset.id) if dataset else None
    chosen = twin.settings.answers
    report_id = content_id(
        "answers-report",
        *answering_parts(twin, author.id),
        answering.CODE_VERSION,
        prompt.CODE_VERSION,
        candidate.version if candidate else None,
        chosen.licence,
        chosen.generated,
    )
    extras = {}
    if dataset and candidate:
        extras = {
            "candidate": candidate.version,
            "base": candidate.base,
            "adapter": str(twin.artifacts.folder(candidate.artifact)),
            "dataset_folder": str(twin.artifacts.folder(dataset.artifact)),
        }
    known = twin.reports.get(report_id) or measured(
        context,
        twin,
        compute,
        report_id,
        kind="answers",
        subject=candidate.version if candidate else author.id,
        extras=extras,
        write=pages.write_answers,
        python=twin.settings.training.python if candidate else None,
    )
    figures = known.metrics
    folder = twin.artifacts.folder(known.artifact)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(report_id),
        metadata={
            "licensed": figures["licensed"],
            "because": figures["because"],
            "by_kind": table(pages.kind_rows(figures), pages.KIND_COLUMNS),
            "support": table(pages.arm_rows(figures), pages.ARM_COLUMNS),
            "answers": table(figures["shown"], ("kind", "question", "answer", "evidence", "right")),
            "plot": image(folder / "answers.png"),
            "report": dg.MetadataValue.path(str(folder / "report.html")),
            **artifact(twin.artifacts.url, known.artifact),
        },
    )


def _judged(context: dg.AssetExecutionContext, twin: Twin, written: Report) -> Report | None:
    """What the judge says of the texts of a style report, where ``evaluation.judge.url`` names one; who gave no verdict
    is asked again the next time."""
    server, chosen = Completions.judging(twin.settings), twin.settings.evaluation.judge
    if server is None or chosen.url is None:
        return None
    author_id = context.partition_key
    with contextlib.closing(server):
        votes = _votes(twin, author_id, chosen.votes)
        report_id = judging.judged_id(written.id, chosen.url, chosen.model, chosen.prompts, votes)
        known = twin.reports.get(report_id)
        if known and known.metrics["answered"]:
            return known
        figures = judging.judge(server, written.metrics.get("to_judge", ()), votes, prompts=chosen.prompts)
    host = str(urlsplit(chosen.url).hostname)
    figures |= {"candidate": written.subject, "host": host, "model": chosen.model or "the first it lists"}
    (context.log.info if figures["answered"] else context.log.warning)(pages.judge_told(figures))
    return twin.reports.add(report_id, author_id, "judge", written.subject, figures, "")


def _votes(twin: Twin, author_id: str, limit: int) -> list[judging.Vote]:
    """The newest answers of blind readers whose pairs are still in a style report."""
    answered = twin.blind_tests.newest(author_id, limit)
    pairs: dict[str, Pair] = {}
    for version in {each.version for each in answered}:
        report = twin.reports.newest(author_id, "style", version)
        pairs |= {each.id: each for each in pairs_in(report.metrics)} if report else {}
    return [judging.Vote(pairs[each.pair_id], each.right) for each in answered if each.pair_id in pairs]


@dg.asset(
    key=keys.STYLE_REPORT,
    deps=[keys.DPO_ADAPTER, keys.INSTRUCT, *keys.EMBEDDINGS],
    group_name="evaluate",
    kinds={"pytorch", "matplotlib"},
    owners=OWNERS,
    partitions_def=AUTHORS,
    code_version=style.CODE_VERSION,
    pool="gpu",
    description="How much what the base, the newest adapter and the champion write sounds like the author, from other "
    "people's writing (0) to the author's own held-out text (1), by verifiers that do not look at the topic.",
)
def style_report(context: dg.AssetExecutionContext, twin: Twin, compute: Compute) -> dg.MaterializeResult:
    author = twin.author(context.partition_key)
    found = trained(twin, author.id)
    candidate = found.candidate
    chosen = twin.settings.evaluation
    report_id = content_id(
        "style-report",
        style.CODE_VERSION,
        prompt.CODE_VERSION,
        found.dataset.id,
        *sorted(each.version for each in found.compared),
        chosen.style_documents,
        chosen.style_tokens,
        chosen.style_passages,
        *(["to judge"] if chosen.judge.url else []),
    )
    known = twin.reports.get(report_id) or measured(
        context,
        twin,
        compute,
        report_id,
        kind="style",
        subject=candidate.version,
        extras=models(twin, found, author.name),
        write=pages.write_style,
        python=twin.settings.training.python,
    )
    verdicts = _judged(context, twin, known)
    figures = known.metrics
    folder = twin.artifacts.folder(known.artifact)
    shown = {"because": figures["because"]}
    if figures["measured"]:
        columns = ("instruction", *figures["arms"])
        shown = {
            "style": table(pages.style_rows(figures), pages.STYLE_COLUMNS),
            "texts": table(figures["shown"], columns),
            "plot": image(folder / "style.png"),
        }
    return dg.MaterializeResult(
        data_version=dg.DataVersion(
            content_id(known.id, verdicts.id, verdicts.metrics["answered"]) if verdicts else known.id
        ),
        metadata={
            "version": candidate.version,
            "measured": figures["measured"],
            **({"judge": pages.judge_told(verdicts.metrics)} if verdicts else {}),
            "blind_test_pairs": len(figures["pairs"]),
            **shown,
            "report": dg.MetadataValue.path(str(folder / "report.html")),
            **artifact(twin.artifacts.url, known.artifact),
        },
    )
