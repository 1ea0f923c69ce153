"""Checks on adapters."""

import dagster as dg

from twin_assets import keys
from twin_assets.partitions import AUTHORS
from twin_resources.runtime.resources import Twin


@dg.asset_check(
    asset=keys.SFT_ADAPTER,
    name="learned_something",
    partitions_def=AUTHORS,
    description="The validation loss fell against the base; otherwise the hyper-parameters need a look.",
)
def learned_something(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
    newest = twin.releases.newest_adapter(context.partition_key)
    metrics = newest.metrics if newest else {}
    before, after = metrics.get("validation_loss_base", 0.0), metrics.get("validation_loss", 0.0)
    return dg.AssetCheckResult(
        passed=after < before,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"validation_loss_base": before, "validation_loss": after},
    )


train_checks = [learned_something]
