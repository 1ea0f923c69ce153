"""``raw/<platform>``: the author's documents, exactly as their platform gave them."""

from datetime import timedelta

import dagster as dg

from twin_assets import keys
from twin_assets.collect.read import PlatformReading, read_platform
from twin_assets.metadata import OWNERS, stored_in, table
from twin_assets.partitions import AUTHORS
from twin_resources.database.schema import document
from twin_resources.runtime.resources import Twin

CODE_VERSION = "2"

FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=30), warn_window=timedelta(days=8))
"""A weekly schedule that missed its day warns; a month without a reading fails."""

AGAIN = dg.RetryPolicy(max_retries=2, delay=10, backoff=dg.Backoff.EXPONENTIAL)
"""A source that fails does not fail its asset; what does is a database that went away, say, and it comes back."""


class CollectConfig(dg.Config):
    """``accept_removals``: the author did delete that many documents, so let them go from the index too."""

    accept_removals: bool = False


def _raw_asset(platform: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.raw(platform),
        group_name="collect",
        kinds={"python", "postgres"},
        owners=OWNERS,
        metadata=stored_in(document),
        partitions_def=AUTHORS,
        code_version=CODE_VERSION,
        freshness_policy=FRESHNESS,
        retry_policy=AGAIN,
        tags={"platform": platform},
        description=f"Documents of one author from {platform}, every version kept. Reads the sources of this platform "
        "in twin.yaml and those remembered by `twin import`; one that fails keeps what it gave before and stops no "
        "other.",
    )
    def raw(context: dg.AssetExecutionContext, config: CollectConfig, twin: Twin) -> dg.MaterializeResult:
        author = twin.record_author(context.partition_key)
        found = read_platform(
            twin.warehouse,
            twin.settings,
            author,
            platform,
            accept_removals=config.accept_removals,
            say=context.log.info,
        )
        for unread in found.failed:
            context.log.error(str(unread))
        for left in found.left:
            (context.log.info if left.told else context.log.warning)(str(left))
        return dg.MaterializeResult(
            data_version=dg.DataVersion(twin.raw_version(author.id, platform)),
            metadata=_metadata(found),
        )

    return raw


def _metadata(reading: PlatformReading) -> dict[str, dg.MetadataValue]:
    reports = reading.reports
    rows = [report.as_dict() for report in reports]
    totals = {name: sum(row[name] for row in rows) for name in ("found", "new", "changed", "unchanged", "gone")}
    totals["gone"] += reading.gone
    quarantined = [item for report in reports for item in report.quarantined]
    found: dict[str, dg.MetadataValue] = {
        **{name: dg.MetadataValue.int(count) for name, count in totals.items()},
        "skipped": dg.MetadataValue.int(sum(report.skipped.total() for report in reports)),
        "quarantined": dg.MetadataValue.int(len(quarantined)),
        "missing_kept": dg.MetadataValue.int(sum(report.missing for report in reports)),
        "sources_failed": dg.MetadataValue.int(len(reading.failed)),
        "fetched": dg.MetadataValue.int(sum(report.fetched for report in reports)),
        "requests": dg.MetadataValue.int(sum(report.requests for report in reports)),
    }
    if rows:
        columns = (
            "source",
            "found",
            "new",
            "changed",
            "unchanged",
            "gone",
            "skipped",
            "quarantined",
            "missing_kept",
            "absent",
            "fetched",
            "requests",
            "seconds",
        )
        found["sources"] = table(rows, columns)
    if unread := [*reading.failed, *reading.left]:
        found["unread"] = table(
            ({"source": each.source, "reason": each.reason} for each in unread), ("source", "reason")
        )
    if quarantined:
        found["quarantine"] = table(
            ({"item": item.item, "reason": item.reason, "remedy": item.remedy} for item in quarantined),
            ("item", "reason", "remedy"),
        )
    return found


raw_assets = [_raw_asset(platform) for platform in keys.platforms()]
