"""Passages."""

import dagster as dg

from twin_assets.automation import when_data_changed
from twin_assets.chunk.assets import chunk_assets
from twin_assets.chunk.checks import chunk_checks

defs = dg.Definitions(
    assets=[each.with_attributes(automation_condition=when_data_changed()) for each in chunk_assets],
    asset_checks=chunk_checks,
)
