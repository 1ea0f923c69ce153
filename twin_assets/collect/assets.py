"""``raw/<platform>``: the author's documents, exactly as their platform gave them."""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from twin_assets import keys
from twin_assets.metadata import OWNERS, table
from twin_assets.partitions import AUTHORS
from twin_resources.errors import SourceError
from twin_resources.runtime.resources import Twin
from twin_resources.sources.base import Source
from twin_resources.sources.opener import SourceOpener
from twin_resources.sources.registry import registry
from twin_resources.storage.collector import CollectReport, Crawl

CODE_VERSION = "2"

FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=30), warn_window=timedelta(days=8))
"""A weekly schedule that missed its day warns; a month without a reading fails."""


class CollectConfig(dg.Config):
    """``accept_removals``: the author did delete that many documents, so let them go from the index too."""

    accept_removals: bool = False


def _raw_asset(platform: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.raw(platform),
        group_name="collect",
        kinds={"python", "postgres"},
        owners=OWNERS,
        partitions_def=AUTHORS,
        code_version=CODE_VERSION,
        freshness_policy=FRESHNESS,
        tags={"platform": platform},
        description=f"Documents of one author from {platform}, every version kept. Reads the sources of this platform "
        "in twin.yaml and those remembered by `twin import`.",
    )
    def raw(context: dg.AssetExecutionContext, config: CollectConfig, twin: Twin) -> dg.MaterializeResult:
        author = twin.record_author(context.partition_key)
        reports: list[CollectReport] = []
        failures: list[str] = []
        kept = []
        for source_id, opened in _sources(twin, author.id, platform, failures):
            kept.append(source_id)
            name = f"{opened.kind} {opened.location}"
            try:
                report = _read(
                    context, twin, source_id, opened, origin=platform, accept_removals=config.accept_removals
                )
            except SourceError as error:
                failures.append(str(error))
                context.log.error(f"{name}: {error}")
                twin.warehouse.sources.record_failure(source_id, str(error))
            else:
                reports.append(report)
                context.log.info(f"{name}: {_said(report)}")
        gone = 0
        if platform != "api" and not failures:  # a source that could not even be opened was not taken out
            gone = twin.warehouse.sources.drop_sources(author.id, platform, keep=kept)
        if failures:
            raise dg.Failure(description="; ".join(failures), allow_retries=False)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(twin.raw_version(author.id, platform)),
            metadata=_metadata(reports, gone),
        )

    return raw


def _read(
    context: dg.AssetExecutionContext,
    twin: Twin,
    source_id: str,
    opened: Source,
    *,
    origin: str,
    accept_removals: bool,
) -> CollectReport:
    """Read one source into the warehouse.

    Raises:
        SourceError: it cannot be read, or not to its end.
    """
    author_id = context.partition_key
    name = f"{opened.kind} {opened.location}"
    visits = twin.warehouse.visits(author_id, source_id)
    crawled = SourceOpener.of(twin.settings).connect(opened, visits)
    try:
        return twin.warehouse.collect(
            author_id,
            source_id,
            opened.read(),
            origin=origin,
            name=opened.location,
            accept_removals=accept_removals,
            progress=lambda count: context.log.info(f"{name}: {count} items read"),
            crawl=Crawl(crawled, visits) if crawled else None,
        )
    finally:
        if crawled is not None:
            crawled.client.close()


def _sources(twin: Twin, author_id: str, platform: str, failures: list[str]) -> Iterator[tuple[str, Source]]:
    """Sources of one platform as (id, opened source): those of ``twin.yaml`` first, then the remembered ones.

    An entry that cannot be opened fails the asset of its own platform only.
    """
    author = twin.settings.author(author_id)
    opener = SourceOpener.of(twin.settings)
    for entry in author.sources:
        if registry()[entry.kind].platform != platform:
            continue
        try:
            opened = opener.entry(author.author, entry)
        except SourceError as error:
            failures.append(str(error))
        else:
            yield twin.warehouse.remember_source(author_id, opened, entry.options, remembered=False), opened
    for known in twin.warehouse.sources.remembered(author_id, platform):
        if known.kind != "api":
            yield known.id, opener.open(author.author, known.kind, known.location, known.options)


def _said(report: CollectReport) -> str:
    """A reading in a line for the terminal."""
    row = report.as_dict()
    counts = ("found", "new", "changed", "unchanged", "gone", "quarantined", "requests")
    parts = [f"{row[name]} {name}" for name in counts if row[name] or name in ("found", "new")]
    return f"{', '.join(parts)}, {report.seconds:.1f} s"


def _metadata(reports: list[CollectReport], gone: int) -> dict[str, dg.MetadataValue]:
    rows = [report.as_dict() for report in reports]
    totals = {name: sum(row[name] for row in rows) for name in ("found", "new", "changed", "unchanged", "gone")}
    totals["gone"] += gone
    quarantined = [item for report in reports for item in report.quarantined]
    found: dict[str, dg.MetadataValue] = {
        **{name: dg.MetadataValue.int(count) for name, count in totals.items()},
        "skipped": dg.MetadataValue.int(sum(report.skipped.total() for report in reports)),
        "quarantined": dg.MetadataValue.int(len(quarantined)),
        "missing_kept": dg.MetadataValue.int(sum(report.missing for report in reports)),
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
    if quarantined:
        found["quarantine"] = table(
            ({"item": item.item, "reason": item.reason, "remedy": item.remedy} for item in quarantined),
            ("item", "reason", "remedy"),
        )
    return found


raw_assets = [_raw_asset(platform) for platform in keys.platforms()]
