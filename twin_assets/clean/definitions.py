"""Snapshot 1."""

import dagster as dg

from twin_assets.automation import when_data_changed
from twin_assets.clean.assets import clean_assets
from twin_assets.clean.checks import clean_checks

defs = dg.Definitions(
    assets=[each.with_attributes(automation_condition=when_data_changed()) for each in clean_assets],
    asset_checks=clean_checks,
)
