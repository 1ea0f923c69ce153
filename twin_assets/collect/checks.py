"""Checks on what was collected."""

import dagster as dg
import sqlalchemy as sa

from twin_assets import keys
from twin_assets.partitions import AUTHORS
from twin_resources.database.schema import quarantine, source
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
        mine = (source.c.author == context.partition_key) & (source.c.origin == platform)
        missing = sa.cast(source.c.counts["missing_kept"].astext, sa.Integer)
        with twin.engine.connect() as session:
            rows = session.execute(
                sa.select(source.c.location, missing.label("missing")).where(mine, missing > 0)
            ).all()
        return dg.AssetCheckResult(
            passed=not rows,
            description="; ".join(f"{row.location}: {row.missing} documents are not there any more" for row in rows)
            or None,
        )

    return check


def _everything_was_read(platform: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=keys.raw(platform),
        name="everything_was_read",
        partitions_def=AUTHORS,
        description="Items that could not be read are in quarantine with a reason and a remedy; the rest goes on.",
    )
    def check(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
        query = (
            sa.select(sa.func.count())
            .select_from(quarantine.join(source, source.c.id == quarantine.c.source_id))
            .where(quarantine.c.author == context.partition_key, source.c.origin == platform)
        )
        with twin.engine.connect() as session:
            count = session.scalar(query) or 0
        return dg.AssetCheckResult(
            passed=count == 0, severity=dg.AssetCheckSeverity.WARN, metadata={"quarantined": count}
        )

    return check


raw_checks = [check(platform) for platform in keys.platforms() for check in (_nothing_vanished, _everything_was_read)]
