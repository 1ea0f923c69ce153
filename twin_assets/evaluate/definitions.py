"""Reports on search and on adapters."""

import dagster as dg

from twin_assets.automation import when_data_changed
from twin_assets.evaluate.assets import evaluate_assets
from twin_assets.evaluate.checks import evaluate_checks

defs = dg.Definitions(
    assets=[each.with_attributes(automation_condition=when_data_changed()) for each in evaluate_assets],
    asset_checks=evaluate_checks,
)
