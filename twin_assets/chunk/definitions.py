"""Passages."""

import dagster as dg

from twin_assets.automation import moved, when_data_changed
from twin_assets.chunk.assets import chunk_assets
from twin_assets.chunk.checks import chunk_checks

defs = dg.Definitions(
    assets=moved(chunk_assets, by=when_data_changed()),
    asset_checks=chunk_checks,
)
