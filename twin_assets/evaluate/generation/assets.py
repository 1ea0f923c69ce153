"""``reports/generation``: how well an adapter predicts its author, and what it answers readers."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from twin_assets import keys
from twin_assets.evaluate import pages, shadow
from twin_assets.evaluate.assets import Trained, answering_parts, folders, measured, models, trained
from twin_assets.evaluate.generation import page
from twin_assets.metadata import OWNERS, artifact, image, table
from twin_assets.partitions import AUTHORS
from twin_resources.rag import prompt
from twin_resources.runtime.launcher import Compute
from twin_resources.runtime.resources import Twin
from twin_resources.storage.releases import Release
from twin_resources.storage.reports import Report
from twin_resources.suite.general import general_id
from twin_resources.suite.instructions import instructions_id
from twin_resources.text.identity import content_id

CODE_VERSION = "10"
SHADOW_COLUMNS = ("measure", "candidate", "champion", "difference", "low", "high", "questions", "conversations")


def rivals_of(twin: Twin, author_id: str, base: str) -> list[Release]:
    """What answers for other authors, over the same base: the adapters to be better than."""
    authors = (each.id for each in twin.settings.authors if each.id != author_id)
    others = (twin.of(each).releases.alias(each, "champion") for each in authors)
    return [each for each in others if each and each.base == base][: twin.settings.evaluation.rivals]


def _against(rivals: Sequence[Release]) -> str:
    """Which rivals a report measured, without naming them."""
    return content_id("rivals", *sorted(each.version for each in rivals))


def _shadowed(
    context: dg.AssetExecutionContext, twin: Twin, compute: Compute, author_name: str, found: Trained
) -> Report | None:
    """The report on how the candidate answers the newest questions of readers beside the champion; None where there is
    no champion to be compared with, nothing was asked yet, or `evaluation.shadow_questions` is 0."""
    chosen = twin.settings.evaluation
    author_id, versions = context.partition_key, [each.version for each in found.compared]
    asked = twin.shadows.questions(author_id, chosen.shadow_questions) if chosen.shadow_questions else ()
    if len(versions) < 2 or not asked:
        return None
    traces = [each.trace_id for each in asked]
    report_id = content_id(
        "shadow-report",
        *(shadow.CODE_VERSION, prompt.CODE_VERSION, chosen.style_tokens, *answering_parts(twin, author_id)),
        *(*versions, *traces),
    )
    return twin.reports.get(report_id) or measured(
        context,
        twin,
        compute,
        report_id,
        kind="shadow",
        subject=found.candidate.version,
        extras={**models(twin, found, author_name), "traces": traces},
        write=pages.write_shadow,
        python=twin.settings.training.python,
    )


@dg.asset(
    key=keys.GENERATION_REPORT,
    deps=[keys.DPO_ADAPTER, keys.INSTRUCT, *keys.EMBEDDINGS],
    group_name="evaluate",
    kinds={"pytorch", "matplotlib"},
    owners=OWNERS,
    partitions_def=AUTHORS,
    code_version=CODE_VERSION,
    pool="gpu",
    description="Loss and perplexity on held-out answers: base, newest adapter and champion on the same text, the "
    "adapters of other authors too, document by document and by date, and a few answers side by side. With "
    "`evaluation.shadow_questions`, also how the candidate answers readers' newest questions, beside the champion.",
)
def generation_report(context: dg.AssetExecutionContext, twin: Twin, compute: Compute) -> dg.MaterializeResult:
    author = twin.author(context.partition_key)
    found = trained(twin, author.id)
    candidate, champion = found.candidate, found.champion
    rivals = rivals_of(twin, author.id, candidate.base)
    against = _against(rivals)
    report_id = content_id(
        "generation-report",
        CODE_VERSION,
        prompt.CODE_VERSION,
        found.dataset.id,
        general_id(),
        instructions_id(),
        twin.settings.evaluation.instructions,
        twin.settings.evaluation.held_out_tokens,
        *(each.version for each in (*found.compared, *rivals)),
    )
    known = twin.reports.get(report_id)
    if known is None and champion and champion.version == candidate.version:
        before = twin.reports.newest(author.id, "generation", candidate.version)
        known = before if before and before.metrics.get("against") == against else None
    known = known or measured(
        context,
        twin,
        compute,
        report_id,
        kind="generation",
        subject=candidate.version,
        extras={
            **models(twin, found, author.name),
            "rivals": folders(twin, rivals),
            "against": against,
            "max_sample_tokens": twin.settings.training.max_sample_tokens,
            "max_answering_tokens": twin.settings.training.max_answering_tokens,
        },
        write=page.write,
        python=twin.settings.training.python,
    )
    figures = known.metrics
    folder = twin.artifacts.folder(known.artifact)
    beside = _shadowed(context, twin, compute, author.name, found)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(content_id(known.id, beside.id) if beside else known.id),
        metadata={
            "version": candidate.version,
            "held_out_answers": figures["samples"],
            "held_out_answers_there_are": figures["available"],
            "held_out_documents": figures["documents"],
            "loss": table(
                (
                    {"model": name, "loss": loss, "perplexity": figures["perplexity"][name]}
                    for name, loss in figures["loss"].items()
                ),
                ("model", "loss", "perplexity"),
            ),
            "gain_over_base": figures["gain"],
            "gain_95_interval": str(figures["gain_interval"]),
            **({"lead_over_other_authors": led["lead"]} if (led := figures.get("tournament")) else {}),
            **({"readers_questions": table(pages.shadow_rows(beside.metrics), SHADOW_COLUMNS)} if beside else {}),
            "plot": image(folder / "perplexity.png"),
            "answers": table(figures["shown"], ("instruction", "author", "base", "twin")),
            **_by_document(figures),
            **_of_probes(figures),
            "report": dg.MetadataValue.path(str(folder / "report.html")),
            **artifact(twin.artifacts.url, known.artifact),
        },
    )


def _of_probes(figures: Mapping[str, Any]) -> dict[str, Any]:
    """What else was measured of base and candidate, as far as a report says it."""
    found: dict[str, Any] = {}
    if by_heart := figures.get("memorisation"):
        found["words_memorised"] = by_heart["excess"]
    if forgot := figures.get("forgetting"):
        found["general_texts_cost_more"] = forgot["rise"]
    if exposed := figures.get("canaries"):
        found["canaries"] = table(exposed["canaries"], ("text", "rank", "exposure"))
    if followed := figures.get("following"):
        found["instructions_followed"] = table(page.followed_rows(followed), ("model", "followed", "instructions"))
    return found


def _by_document(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Which texts an adapter predicts worst, and whether the newer ones are; nothing of reports that do not say it."""
    rows = page.document_rows(figures)[: page.WORST]
    if not rows:
        return {}
    return {"newer_texts": page.newer_told(figures), "worst_predicted": table(rows, tuple(rows[0]))}
