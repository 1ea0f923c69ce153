"""Adapters and the re-ranker."""

import dagster as dg

from twin_assets.automation import moved, when_data_changed
from twin_assets.train.assets import train_assets
from twin_assets.train.checks import train_checks

defs = dg.Definitions(
    assets=moved(train_assets, by=when_data_changed()),
    asset_checks=train_checks,
)
