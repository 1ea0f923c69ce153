"""Snapshot 1."""

import dagster as dg

from twin_assets.automation import moved, when_data_changed
from twin_assets.clean.assets import clean_assets
from twin_assets.clean.checks import clean_checks

defs = dg.Definitions(
    assets=moved(clean_assets, by=when_data_changed()),
    asset_checks=clean_checks,
)
