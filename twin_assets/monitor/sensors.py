"""The sensor that tells people what is wrong."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import AssetPartitionStatus

from twin_assets.partitions import AUTHORS, PARTITION_TAG
from twin_resources.alerts.conditions import Condition, of_readings, of_runs, of_traffic, of_withdrawal
from twin_resources.alerts.watch import watch
from twin_resources.config.settings import SettingsError
from twin_resources.runtime.resources import Twin
from twin_resources.storage.calls.interactions import Traffic
from twin_resources.storage.releases import ReleaseError

_RETRIED = "dagster/will_retry"
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


@dg.sensor(
    name="alerts",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells people by webhook, Slack or e-mail when requests fail, answers are slow or rated down, a run "
    "failed, a canary was withdrawn, or an author's sources were not read for long; see `monitoring` in twin.yaml.",
)
def alerts(context: dg.SensorEvaluationContext, twin: Twin) -> dg.SkipReason:
    """One tick: observe every author, tell what is due."""
    try:
        settings = twin.settings
    except SettingsError as error:
        return dg.SkipReason(str(error))
    rules = settings.monitoring
    told = watch(twin.alerts, conditions(context.instance, twin), rules.alerts)
    twin.alerts.purge(rules.retain_days)
    for notice in told:
        context.log.info(notice.line())
        if rules.alerts.roll_back and notice.event == "opened" and notice.alert.rule == "ratings":
            roll_back(context, twin, str(notice.alert.author), notice.alert.text)
    return dg.SkipReason("; ".join(notice.subject() for notice in told) or "nothing new is wrong")


def roll_back(context: dg.SensorEvaluationContext, twin: Twin, author_id: str, why: str) -> None:
    """Let the champion before answer again, where there is one."""
    try:
        now = twin.of(author_id).releases.rollback(author_id, by="alert", comment=why)
        context.log.warning(f"{now.version} answers for {author_id} again: {why}")
    except ReleaseError as error:
        context.log.warning(f"{author_id} was not rolled back: {error}")


def conditions(instance: dg.DagsterInstance, twin: Twin) -> Iterator[Condition]:
    """How every rule stands for every author whose partition there is."""
    rules = twin.settings.monitoring
    since = datetime.now(UTC) - timedelta(days=rules.window_days)
    known = set(instance.get_dynamic_partitions(AUTHORS.name or ""))
    readings = twin.warehouse.sources.readings()
    for author in twin.settings.authors:
        if author.id not in known:
            continue
        own = twin.of(author.id)
        own.record_author(author.id)
        yield from of_traffic(author.id, _traffic(own, author.id, since), rules)
        yield of_withdrawal(author.id, own.releases.last_decision(author.id))
        yield of_runs(author.id, _failed(instance, author.id), _failed_stages(instance, author.id))
        if author.schedule:
            here = own.warehouse.sources.readings() if own is not twin else readings
            yield of_readings(author.id, here, rules)


def _traffic(twin: Twin, author_id: str, since: datetime) -> Traffic:
    """How the calls went, of whichever version; the ratings are those of the champion, which gives way where too many
    are down. A canary has readers of its own, and is withdrawn for what they say."""
    champion = twin.releases.alias(author_id, "champion")
    up, down = twin.interactions.ratings(
        author_id, since, champion and champion.version, twin.releases.canary(author_id)
    )
    return replace(twin.interactions.traffic(author_id, since), up=up, down=down)


def _failed(instance: dg.DagsterInstance, author_id: str) -> str | None:
    """The last run of an author that came to an end, where it failed and is not tried again by itself."""
    ended = instance.get_runs(dg.RunsFilter(statuses=_ENDED, tags={PARTITION_TAG: author_id}), limit=1)
    if not ended or ended[0].status is not dg.DagsterRunStatus.FAILURE or ended[0].tags.get(_RETRIED) == "true":
        return None
    return ended[0].run_id[:8]


def _failed_stages(instance: dg.DagsterInstance, author_id: str) -> list[str]:
    """Assets whose last attempt failed: what another run made since changes nothing about them."""
    found = []
    for key in instance.all_asset_keys():
        state = instance.get_status_by_partition(key, [author_id], AUTHORS) or {}
        if state.get(author_id) is AssetPartitionStatus.FAILED:
            found.append(key.to_user_string())
    return sorted(found)
