"""Reports on search and on adapters."""

import dagster as dg

from twin_assets.automation import moved, when_data_changed
from twin_assets.evaluate.assets import evaluate_assets
from twin_assets.evaluate.checks import evaluate_checks

defs = dg.Definitions(
    assets=moved(evaluate_assets, by=when_data_changed()),
    asset_checks=evaluate_checks,
)
