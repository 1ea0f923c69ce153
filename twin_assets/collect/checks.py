"""Checks on what was collected."""

import dagster as dg

from twin_assets import keys
from twin_assets.collect.read import unopened
from twin_assets.partitions import AUTHORS
from twin_resources.runtime.resources import Twin


def _nothing_vanished(platform: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=keys.raw(platform),
        name="nothing_vanished",
        blocking=True,
        partitions_def=AUTHORS,
        description="Many documents missing at once point to a broken source, not to an author who deleted them: they "
        "are kept and the graph stops here. If they were deleted, materialise with accept_removals: true.",
    )
    def check(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
        found = twin.warehouse.sources.missing(context.partition_key, platform)
        said = "; ".join(f"{each.location}: {each.documents} documents are not there any more" for each in found)
        return dg.AssetCheckResult(passed=not found, description=said or None)

    return check


def _everything_was_read(platform: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=keys.raw(platform),
        name="everything_was_read",
        partitions_def=AUTHORS,
        description="Items that could not be read are in quarantine with a reason and a remedy; the rest goes on.",
    )
    def check(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
        count = twin.warehouse.sources.quarantined(context.partition_key, platform)
        return dg.AssetCheckResult(
            passed=count == 0, severity=dg.AssetCheckSeverity.WARN, metadata={"quarantined": count}
        )

    return check


def _every_source_was_read(platform: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=keys.raw(platform),
        name="every_source_was_read",
        partitions_def=AUTHORS,
        description="A source that cannot be read keeps its documents, and the other sources go on. It is an error "
        "where the platform holds no document at all.",
    )
    def check(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
        author_id = context.partition_key
        failing = [
            *unopened(twin.settings, twin.author(author_id), platform),
            *twin.warehouse.sources.failing(author_id, platform),
        ]
        held = twin.warehouse.documents.count(author_id, platform)
        return dg.AssetCheckResult(
            passed=not failing,
            severity=dg.AssetCheckSeverity.WARN if held else dg.AssetCheckSeverity.ERROR,
            description="; ".join(failing) or None,
            metadata={"failing": len(failing), "documents": held},
        )

    return check


raw_checks = [
    check(platform)
    for platform in keys.platforms()
    for check in (_nothing_vanished, _everything_was_read, _every_source_was_read)
]
