"""Dataset versions."""

import dagster as dg

from twin_assets.automation import when_data_changed
from twin_assets.dataset.assets import dataset_assets
from twin_assets.dataset.checks import dataset_checks

defs = dg.Definitions(
    assets=[each.with_attributes(automation_condition=when_data_changed()) for each in dataset_assets],
    asset_checks=dataset_checks,
)
