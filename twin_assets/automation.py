"""When the graph moves by itself: named conditions, two automation sensors and the collection sensor."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from croniter import croniter
from dagster import AutomationCondition as AC
from pydantic import ValidationError

from twin_assets import keys
from twin_assets.partitions import AUTHORS, PARTITION_TAG
from twin_resources.config.settings import AuthorSettings, Settings, SettingsError
from twin_resources.errors import SourceError
from twin_resources.runtime.resources import AUTOMATIC, STARTED_BY, Twin
from twin_resources.sources.opener import SourceOpener
from twin_resources.sources.registry import registry
from twin_resources.style.blind.comparison import Comparison
from twin_resources.text.identity import content_id

DATA_VERSION_TAG = "dagster/data_version"
ASK_AGAIN = (timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1))
"""How long after the first, the second and every further request what is still missing is asked for."""
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def when_data_changed(of: dg.AssetSelection | None = None, label: str = "when_data_changed") -> AC:
    """Run when the content of an input changed, once for each new content, and never on a no-op.

    Each term is there because of a failure without it:

    - ``data_version_changed`` rather than ``eager()``: an input that was materialised again with the same content
      must not retrain anything.
    - ``newly_missing``: a new author has no materialisation whose version could change.
    - ``since(…)``: remembers a change that came while the asset was busy.
    - ``newly_requested & ~change`` ends that memory. A change that is seen in the very tick after a request came after
      what that run read, so there the change must win; with ``newly_requested`` alone it would be lost for good.
    - ``initial_evaluation``: does not rebuild the world when the sensor starts for the first time; what is missing then
      is still to be made, once its inputs are there.
    - ``code_version_changed``: new code runs.
    - ``again``: a failure is tried again once, be it of the asset or of the process that made it. A second one in a row
      waits for new content. With ``execution_failed().newly_true()`` only the first failure after a success was tried
      again, however much new content came, because an asset counts as failed until it is made.
    - ``unchecked``: so is an asset whose run died before its blocking checks; what follows would wait for them in vain.
    - ``all_deps_blocking_checks_passed``: bad input stops here; when the check passes later, the change still counts.
    - ``~any_deps_missing`` and ``~any_deps_in_progress``: wait until the inputs are complete.
    - ``~in_progress``: never two at once for one author.

    Args:
        of: the inputs whose content counts; all of them without it.
        label: what Dagster's page calls it.
    """
    there_before = AC.initial_evaluation() & ~AC.missing()
    changed = AC.any_deps_match(AC.data_version_changed())
    change = (changed.allow(of) if of else changed) | AC.newly_missing() | (AC.initial_evaluation() & AC.missing())
    unhandled = change.since((AC.newly_requested() & ~change) | there_before)
    # Dagster tells two `since` apart by the kinds of their operands alone, so no two of these may have the same.
    unchecked = ~AC.missing() & AC.any_checks_match(AC.execution_failed(), blocking_only=True)
    broken = AC.execution_failed() | unchecked
    whole = ~broken & ~AC.missing() & ~AC.in_progress()
    failed_first = (broken & ~unhandled & ~AC.in_progress()).since(whole | change).newly_true()
    again = failed_first.since((AC.newly_requested() & ~failed_first) | whole)
    return (
        (unhandled | AC.code_version_changed() | again)
        & AC.all_deps_blocking_checks_passed()
        & ~AC.any_deps_missing()
        & ~AC.any_deps_in_progress()
        & ~AC.in_progress()
    ).with_label(label)


def when_all_is_in() -> AC:
    """:func:`when_data_changed`, once nothing is on its way from the sources any more.

    One collection that touches articles, posts and code reaches the passages of each in a tick of its own; without
    this a dataset would be made, and trained on, three times. What is about to be requested counts as on its way.
    """
    busy = AC.in_progress() | AC.will_be_requested()
    for _ in ("clean", "raw"):
        busy = AC.in_progress() | AC.will_be_requested() | AC.any_deps_match(busy)
    return (when_data_changed() & ~AC.any_deps_match(busy)).with_label("when_all_is_in")


def when_dataset_changed(dataset: dg.AssetKey) -> AC:
    """:func:`when_data_changed` of one input alone: what learns from a dataset and searches besides is trained for a
    version, not again for each index that is ready after it."""
    return when_data_changed(dg.AssetSelection.assets(dataset), "when_dataset_changed")


def when_inputs_were_made() -> AC:
    """:func:`when_data_changed`, while no input failed: preference optimisation starts from the adapter of the newest
    dataset, and would take the one before where that could not be trained, because its pairs changed as well."""
    return (when_data_changed() & ~AC.any_deps_match(AC.execution_failed())).with_label("when_inputs_were_made")


def when_adapter_changed() -> AC:
    """:func:`when_data_changed` of the adapter alone, for what is measured of it.

    The dataset and the passages are inputs, too, but they change before there is an adapter of them: with
    ``when_data_changed()`` a report ran beside the training whose adapter it was to measure, failed, and ran again.
    """
    return when_data_changed(dg.AssetSelection.assets(keys.DPO_ADAPTER), "when_adapter_changed")


def when_adapter_or_evidence_changed() -> AC:
    """:func:`when_adapter_changed`, and when the evidence of answers did, which happens without a training as well.

    While an input is made, is about to be, or failed, or while that is so of what the adapter is made of, there is no
    adapter of the newest dataset to ask, and nothing to be said of the one before.
    """
    unsettled = AC.in_progress() | AC.will_be_requested() | AC.execution_failed()
    unsettled = AC.any_deps_match(unsettled | AC.any_deps_match(unsettled))
    changed = when_data_changed(dg.AssetSelection.assets(keys.DPO_ADAPTER, keys.SILENCE_REPORT))
    return (changed & ~unsettled).with_label("when_adapter_or_evidence_changed")


def when_measured() -> AC:
    """:func:`when_data_changed` of what is measured of an adapter, and of what blind tests of it decided; search is
    measured before there is one."""
    measured = dg.AssetSelection.assets(
        keys.GENERATION_REPORT, keys.ANSWERS_REPORT, keys.STYLE_REPORT, keys.BLIND_TESTS
    )
    return when_data_changed(measured, "when_measured")


def moved(assets: Iterable[dg.AssetsDefinition], by: AC) -> list[dg.AssetsDefinition]:
    """Assets that a condition moves."""
    return [asset.with_attributes(automation_condition=by) for asset in assets]


def hourly() -> AC:
    """Look at what serving reported once an hour."""
    return (AC.cron_tick_passed("@hourly").since_last_handled() & ~AC.in_progress()).with_label("hourly")


NO_RUN_RETRY = {"dagster/max_retries": "0"}
"""For runs of the automation sensors: their assets are tried again by the condition, and once is enough."""

ON_GPU = dg.AssetSelection.assets(
    keys.PREFERENCE,
    keys.RERANKER,
    keys.SEARCH,
    keys.SFT_ADAPTER,
    keys.DPO_ADAPTER,
    keys.ANSWERS_REPORT,
    keys.GENERATION_REPORT,
    keys.STYLE_REPORT,
)
"""What needs the accelerator: launched one run at a time, through the pool ``gpu``."""

cpu_automation = dg.AutomationConditionSensorDefinition(
    "cpu_automation",
    target=dg.AssetSelection.all() - ON_GPU,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    run_tags={"queue": "cpu", STARTED_BY: AUTOMATIC, **NO_RUN_RETRY},
    description="Starts cleaning, chunking, embedding, datasets and releases when their inputs changed.",
)


def _gpu_run_tags() -> dict[str, str]:
    """Tags of runs that train. The graph loads with wrong settings, too: sensors and assets say what is wrong."""
    try:
        return Settings().gpu_run_tags
    except ValidationError:
        return {}


gpu_automation = dg.AutomationConditionSensorDefinition(
    "gpu_automation",
    target=ON_GPU,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    run_tags={**_gpu_run_tags(), "queue": "gpu", STARTED_BY: AUTOMATIC, **NO_RUN_RETRY},
    description="Starts training and the reports that run models when a new dataset version exists.",
)

collection_job = dg.define_asset_job("collection", selection=dg.AssetSelection.assets(*keys.RAW))


def due(schedule: str | None, last: datetime, now: datetime) -> bool:
    """Whether a cron schedule had a tick after ``last`` up to ``now``."""
    return schedule is not None and croniter(schedule, last).get_next(datetime) <= now


@dg.sensor(
    name="collection",
    job=collection_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Collects on each author's schedule from twin.yaml, what of an author was never collected, when an "
    "export was dropped into an inbox, and when an import or the API brought documents. Tells the graph of new "
    "corrections, and of what blind tests decided.",
)
def collection(context: dg.SensorEvaluationContext, twin: Twin) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One tick: register new authors, request raw assets that are due or hold new content, report what readers did."""
    try:
        settings = twin.settings
    except SettingsError as error:
        yield dg.SkipReason(str(error))
        return
    now = datetime.now(UTC)
    state = json.loads(context.cursor) if context.cursor else {}
    known = set(context.instance.get_dynamic_partitions(AUTHORS.name or ""))
    missing = [author.id for author in settings.authors if author.id not in known]
    if missing:
        context.instance.add_dynamic_partitions(AUTHORS.name or "", missing)
    requested = False
    for author in settings.authors:
        mine = state.setdefault(author.id, {"collected": now.isoformat()})
        if due(author.schedule, datetime.fromisoformat(mine["collected"]), now):
            wanted = set(keys.RAW)
            mine["collected"] = now.isoformat()
        else:
            never = _never_collected(context.instance, author.id, mine, now)
            dropped = _dropped(context, settings, author, mine.setdefault("inboxes", {}))
            brought = _brought(context.instance, twin.of(author.id), author.id, mine)
            wanted = {*never, *map(keys.raw, dropped), *map(keys.raw, brought)}
        if wanted:
            requested = True
            yield dg.RunRequest(
                partition_key=author.id, asset_selection=sorted(wanted), tags={"queue": "cpu", "author": author.id}
            )
        for name, key, content in _reported(twin.of(author.id), author.id):
            if content != mine.get(name):
                mine[name] = content
                context.instance.report_runless_asset_event(
                    dg.AssetMaterialization(key, partition=author.id, tags={DATA_VERSION_TAG: content})
                )
    context.update_cursor(json.dumps(state))
    if not requested:
        yield dg.SkipReason("no schedule is due and nothing new was imported")


def _reported(twin: Twin, author_id: str) -> Iterator[tuple[str, dg.AssetKey, str]]:
    """What readers do that the graph follows: a name for the cursor, the asset, and the hash of its content."""
    corrections = content_id("corrections", *twin.interactions.corrected(author_id))
    yield "corrections", keys.INTERACTIONS, corrections
    yield "blind_tests", keys.BLIND_TESTS, content_id("blind-tests", *_decided(twin, author_id))


def _decided(twin: Twin, author_id: str) -> list[str]:
    """What answers of blind tests say about the candidate that lets the gate judge it otherwise than before."""
    rules = twin.settings.release
    candidate, champion = (twin.releases.alias(author_id, name) for name in ("candidate", "champion"))
    if candidate is None:
        return []
    tallies = twin.blind_tests.tallies(author_id)
    compared = Comparison.of(tallies, candidate.version, champion.version if champion else None)
    told = [f"{candidate.version} is told more readily"] if compared.is_told_more_readily(rules.max_blind_lead) else []
    read = 0 < rules.min_blind_answers <= compared.mine.answers
    return [*told, *([f"{candidate.version} was read"] if read else [])]


def _never_collected(
    instance: dg.DagsterInstance, author_id: str, state: dict[str, Any], now: datetime
) -> list[dg.AssetKey]:
    """Raw assets that an author lacks: all of a new author's, and those of a platform that an upgrade brought.

    What lies behind a raw asset waits until it was materialised, so an empty platform is materialised, too. While a run
    of the author is on its way nothing is asked for; what was asked for in vain is asked for again, see ``ASK_AGAIN``.
    """
    whole = sorted(key.path[-1] for key in keys.RAW)
    if state.get("whole") == whole:
        return []
    missing = [key for key in keys.RAW if author_id not in instance.get_materialized_partitions(key)]
    if not missing:
        state["whole"] = whole
        return []
    times = state.get("times", 0) if state.get("asked_for") == whole else 0
    if times and now - datetime.fromisoformat(state["asked"]) < ASK_AGAIN[min(times, len(ASK_AGAIN)) - 1]:
        return []
    busy = dg.RunsFilter(statuses=UNFINISHED, tags={PARTITION_TAG: author_id})
    if instance.get_runs_count(busy):
        return []
    state.update(asked=now.isoformat(), asked_for=whole, times=times + 1)
    return missing


def _brought(instance: dg.DagsterInstance, twin: Twin, author_id: str, state: dict[str, Any]) -> list[str]:
    """Platforms whose stored documents are not those of their latest materialisation; each content is named once."""
    found = []
    for origin in sorted(twin.warehouse.documents.origins(author_id)):
        digest = twin.raw_version(author_id, origin)
        if digest != _materialised(instance, keys.raw(origin), author_id) and digest != state.get(origin):
            found.append(origin)
            state[origin] = digest
    return found


def _dropped(
    context: dg.SensorEvaluationContext, settings: Settings, author: AuthorSettings, known: dict[str, str]
) -> list[str]:
    """Platforms of the watched sources in which something new lies; ``known`` is brought up to date."""
    found: dict[str, None] = {}
    for entry in author.sources:
        if not registry()[entry.kind].watched:
            continue
        try:
            opened = SourceOpener.of(settings).entry(author.author, entry)
            there = content_id("inbox", opened.fingerprint())
        except SourceError as error:
            context.log.warning(str(error))
            continue
        if there != known.get(opened.location, content_id("inbox", "")):
            found.setdefault(opened.platform)
        known[opened.location] = there
    return list(found)


def _materialised(instance: dg.DagsterInstance, key: dg.AssetKey, author_id: str) -> str | None:
    """Data version of the latest materialisation of one author's partition."""
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=key, asset_partitions=[author_id]), limit=1
    ).records
    if not records or records[0].asset_materialization is None:
        return None
    return (records[0].asset_materialization.tags or {}).get(DATA_VERSION_TAG)
