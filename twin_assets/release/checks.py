"""The gate as a check: a candidate that does not pass goes no further."""

import dagster as dg

from twin_assets import keys
from twin_assets.partitions import AUTHORS
from twin_resources.runtime.resources import Twin


@dg.asset_check(
    asset=keys.CANDIDATE,
    name="gate",
    blocking=True,
    partitions_def=AUTHORS,
    description="The candidate is better than the base beyond doubt, and not worse than the champion, on text that no "
    "training saw.",
)
def gate(context: dg.AssetCheckExecutionContext, twin: Twin) -> dg.AssetCheckResult:
    found = twin.releases.alias(context.partition_key, "candidate")
    rules = found.gate.get("rules", {}) if found else {}
    return dg.AssetCheckResult(
        passed=bool(found and found.passed),
        description="; ".join(f"{name}: asked {rule['asked']}, found {rule['found']}" for name, rule in rules.items()),
        metadata={"version": found.version if found else "none"},
    )


release_checks = [gate]
