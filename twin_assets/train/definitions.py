"""Adapters and the re-ranker."""

import dagster as dg

from twin_assets.automation import when_data_changed
from twin_assets.train.assets import train_assets
from twin_assets.train.checks import train_checks

defs = dg.Definitions(
    assets=[each.with_attributes(automation_condition=when_data_changed()) for each in train_assets],
    asset_checks=train_checks,
)
