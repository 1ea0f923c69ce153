"""``release/candidate`` and ``release/champion``: what may serve, and what does."""

from dataclasses import asdict

import dagster as dg

from twin_assets import keys
from twin_assets.metadata import OWNERS, table
from twin_assets.partitions import AUTHORS
from twin_assets.release.automatic import take_over, unread
from twin_assets.release.gate import decide
from twin_resources.runtime.resources import Twin
from twin_resources.style.blind.comparison import Comparison
from twin_resources.text.identity import content_id

CODE_VERSION = "2"


@dg.asset(
    key=keys.CANDIDATE,
    deps=[keys.GENERATION_REPORT, keys.RETRIEVAL_REPORT, keys.ANSWERS_REPORT, keys.STYLE_REPORT, keys.BLIND_TESTS],
    group_name="release",
    kinds={"python", "mlflow"},
    owners=OWNERS,
    partitions_def=AUTHORS,
    code_version=CODE_VERSION,
    description="The adapter of the instruct dataset in use, never a retired one, with the gate's verdict on it and "
    "named in the registry. A verdict of no stops it here.",
)
def candidate(context: dg.AssetExecutionContext, twin: Twin) -> dg.MaterializeResult:
    author_id = context.partition_key
    dataset = twin.training_dataset(author_id)
    trained = twin.releases.newest_of(author_id, dataset.id) if dataset else None
    if dataset is None or trained is None:
        raise dg.Failure(
            description=f"{author_id} has no adapter of its instruct dataset, or only a retired one; "
            "materialise models/sft_adapter first"
        )
    version = trained.version
    found = twin.reports.newest(author_id, "generation", version)
    if found is None:
        raise dg.Failure(
            description=f"{author_id} has no generation report on {version} yet; materialise reports/generation first"
        )
    style = twin.reports.newest(author_id, "style", version)
    champion = twin.releases.alias(author_id, "champion")
    tallies = twin.blind_tests.tallies(author_id)
    blind = Comparison.of(tallies, version, champion.version if champion else None)
    shadow = twin.reports.newest(author_id, "shadow", version)
    if shadow and (champion is None or shadow.metrics["champion"] != champion.version):
        shadow = None  # it was compared with what speaks no longer
    judge = twin.reports.newest(author_id, "judge", version)
    measured = (style.metrics if style else None, blind, shadow.metrics if shadow else None)
    verdicts = judge.metrics if judge and twin.settings.evaluation.judge.url else None
    verdict = decide(found.metrics, twin.settings.release, *measured, judge=verdicts)
    known = twin.reports.newest(author_id, "gate", version)
    if known is None or dict(known.metrics) != verdict:
        gate_id = content_id("gate", CODE_VERSION, found.id, version, str(sorted(verdict["rules"].items())))
        twin.reports.add(gate_id, author_id, "gate", version, verdict, found.artifact)
    twin.releases.propose(author_id, version)
    rules = [{"rule": name, **rule} for name, rule in verdict["rules"].items()]
    state = "failed" if not verdict["passed"] else "waits" if unread(twin, author_id, version) else "passed"
    return dg.MaterializeResult(
        data_version=dg.DataVersion(f"{version}/{state}"),
        metadata={
            "version": version,
            "dataset": dataset.id,
            "passed": verdict["passed"],
            "rules": table(rules, ("rule", "asked", "found", "passed")),
            "approval": twin.settings.release.approval,
        },
    )


class ApprovalConfig(dg.Config):
    """``approve``: launch with true to approve the candidate by hand, as ``by``."""

    approve: bool = False
    by: str = "Dagster UI"
    comment: str = ""


@dg.asset(
    key=keys.CHAMPION,
    deps=[keys.CANDIDATE],
    group_name="release",
    kinds={"python", "mlflow"},
    owners=OWNERS,
    partitions_def=AUTHORS,
    code_version=CODE_VERSION,
    description="The adapter that speaks for the author. With `approval: auto` a candidate that passed the gate takes "
    "over by itself, unless a person has decided since it became one or too few readers judged it in a blind test "
    "(`release.min_blind_answers`), and with `release.canary` once a share of the conversations was no worse with it; "
    "with `manual` a person approves it (`twin approve`, the API, or here with approve: true).",
)
def champion(context: dg.AssetExecutionContext, config: ApprovalConfig, twin: Twin) -> dg.MaterializeResult:
    author_id = context.partition_key
    proposed = twin.releases.alias(author_id, "candidate")
    if proposed is None:
        raise dg.Failure(description=f"{author_id} has no candidate yet; materialise release/candidate first")
    if config.approve:
        twin.releases.approve(proposed.version, by=config.by, comment=config.comment)
    elif waits := take_over(twin, author_id, proposed):
        context.log.warning(f"{proposed.version} waits: {waits}")
    current = twin.releases.alias(author_id, "champion")
    registered = twin.tracking.mirror(author_id, twin.releases, twin.settings.artifacts)
    last = twin.releases.decisions([proposed.version]).get(proposed.version)
    rejected = last is not None and last.action == "reject"
    waiting = None if rejected or (current and current.version == proposed.version) else proposed.version
    history = [asdict(each) for each in twin.releases.history(author_id)]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(current.version if current else "none"),
        metadata={
            "champion": current.version if current else "none",
            "waiting_for_approval": f"{waiting}: twin approve {waiting}" if waiting else "nothing",
            "registered_model": registered,
            "history": table(history, ("at", "action", "version", "by", "comment")),
        },
    )
