"""Checks on adapters."""

import dagster as dg
import sqlalchemy as sa

from twin_assets import keys
from twin_assets.partitions import AUTHORS
from twin_resources.database.schema import adapter
from twin_resources.runtime.resources import Twin


@dg.asset_check(
    asset=keys.SFT_ADAPTER,
    name="learned_something",
    partitions_def=AUTHORS,
    description="The validation loss fell against the base; otherwise the hyper-parameters need a look.",
)
def learned_something(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
    query = (
        sa.select(adapter.c.metrics)
        .where(adapter.c.author == context.partition_key)
        .order_by(adapter.c.created_at.desc())
        .limit(1)
    )
    with twin.engine.connect() as session:
        metrics = session.scalar(query) or {}
    before, after = metrics.get("validation_loss_base", 0.0), metrics.get("validation_loss", 0.0)
    return dg.AssetCheckResult(
        passed=after < before,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"validation_loss_base": before, "validation_loss": after},
    )


train_checks = [learned_something]
