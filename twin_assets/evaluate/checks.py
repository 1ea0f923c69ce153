"""Checks on reports: whether they say enough to be believed. Only answers that do not hold stop a release here."""

import dagster as dg

from twin_assets import keys
from twin_assets.evaluate.soundness import infinite, unsound_answers, worse_than_lexical
from twin_assets.partitions import AUTHORS
from twin_resources.runtime.resources import Twin

MIN_QUESTIONS = 20
_SHOWN = 10
_WARN = dg.AssetCheckSeverity.WARN


@dg.asset_check(
    asset=keys.RETRIEVAL_REPORT,
    name="enough_questions",
    partitions_def=AUTHORS,
    description=f"Search was measured on at least {MIN_QUESTIONS} questions; figures on fewer move with each of them.",
)
def enough_questions(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
    report = twin.reports.newest(context.partition_key, "retrieval")
    count = report.metrics["queries"] if report else 0
    return dg.AssetCheckResult(passed=count >= MIN_QUESTIONS, severity=_WARN, metadata={"questions": count})


@dg.asset_check(
    asset=keys.RETRIEVAL_REPORT,
    name="no_worse_than_lexical",
    partitions_def=AUTHORS,
    description="Hybrid search finds the right passages at least as often as lexical search alone; otherwise the "
    "vectors do harm, and the embedding model does not fit the author's language.",
)
def no_worse_than_lexical(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
    report = twin.reports.newest(context.partition_key, "retrieval")
    said = worse_than_lexical(report.metrics["ways"]) if report else None
    return dg.AssetCheckResult(passed=said is None, severity=_WARN, description=said)


@dg.asset_check(
    asset=keys.GENERATION_REPORT,
    name="finite_losses",
    partitions_def=AUTHORS,
    description="Every loss is a number; a training that diverged leaves none.",
)
def finite_losses(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
    report = twin.reports.newest(context.partition_key, "generation")
    broken = infinite(report.metrics["loss"]) if report else []
    return dg.AssetCheckResult(
        passed=not broken,
        severity=_WARN,
        description=", ".join(broken) or None,
        metadata={"models": len(report.metrics["loss"]) if report else 0},
    )


@dg.asset_check(
    asset=keys.GENERATION_REPORT,
    name="held_out",
    partitions_def=AUTHORS,
    description="The answers that the adapters were measured on come from documents that none of them was trained on.",
)
def held_out(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
    author_id = context.partition_key
    report = twin.reports.newest(author_id, "generation")
    datasets = {found.version: found.dataset_id for found in twin.releases.list(author_id)}
    measured = datasets.get(report.subject) if report else None
    compared = {datasets[version] for version in report.metrics["loss"] if version in datasets} if report else set()
    seen = sorted({url for each in compared if measured for url in twin.datasets.urls_in_both(measured, each)})
    return dg.AssetCheckResult(
        passed=not seen,
        severity=_WARN,
        description="; ".join(seen[:_SHOWN]) or None,
        metadata={"documents_seen_in_training": len(seen), "datasets": len(compared)},
    )


@dg.asset_check(
    asset=keys.ANSWERS_REPORT,
    name="answers_hold",
    partitions_def=AUTHORS,
    blocking=True,
    description="Readers get answers that hold: what they read has support, answerable questions are not refused more "
    "often than is allowed, and most questions about something else are. Otherwise nothing is released.",
)
def answers_hold(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
    report = twin.reports.newest(context.partition_key, "answers")
    wrong = unsound_answers(report.metrics["kinds"], twin.settings.answers.refused) if report else ["no report"]
    return dg.AssetCheckResult(passed=not wrong, description="; ".join(wrong) or None)


@dg.asset_check(
    asset=keys.SILENCE_REPORT,
    name="enough_sentences",
    partitions_def=AUTHORS,
    description=f"The threshold of silence is set on at least {MIN_QUESTIONS} questions; on fewer, the share that it "
    "may refuse cannot be promised, and the usual threshold is kept where it is lower.",
)
def enough_sentences(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
    report = twin.reports.newest(context.partition_key, "silence")
    count = len(report.metrics["answerable"]) if report else 0
    return dg.AssetCheckResult(passed=count >= MIN_QUESTIONS, severity=_WARN, metadata={"questions": count})


@dg.asset_check(
    asset=keys.STYLE_REPORT,
    name="style_can_be_told",
    partitions_def=AUTHORS,
    description="Verifiers tell the author from people they never saw (AUC 0.90, c@1 0.85), so that style counts.",
)
def style_can_be_told(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
    report = twin.reports.newest(context.partition_key, "style")
    measured = bool(report and report.metrics["measured"])
    because = report.metrics["because"] if report else "no report"
    return dg.AssetCheckResult(passed=measured, severity=_WARN, description=because or None)


evaluate_checks = [
    enough_questions,
    no_worse_than_lexical,
    enough_sentences,
    answers_hold,
    finite_losses,
    held_out,
    style_can_be_told,
]
