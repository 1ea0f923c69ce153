"""Alarms."""

import dagster as dg

from twin_assets import keys
from twin_assets.partitions import AUTHORS
from twin_resources.monitoring.summary import summarise
from twin_resources.runtime.resources import Twin
from twin_resources.storage.calls.usage import Span


@dg.asset_check(
    asset=keys.MONITORING_REPORT,
    name="no_alarms",
    partitions_def=AUTHORS,
    description="Few requests fail and few answers are rated down; the limits are in twin.yaml under `monitoring`.",
)
def no_alarms(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
    rules = twin.settings.monitoring
    alarms = summarise(twin.usage, Span.of_days(context.partition_key, rules.window_days), rules).alarms
    return dg.AssetCheckResult(
        passed=not alarms, severity=dg.AssetCheckSeverity.WARN, description="; ".join(alarms) or None
    )


monitor_checks = [no_alarms]
