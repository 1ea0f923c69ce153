"""Snapshot 2."""

import dagster as dg

from twin_assets.automation import moved, when_data_changed
from twin_assets.embed.assets import embedding_assets
from twin_assets.embed.checks import embedding_checks

defs = dg.Definitions(
    assets=moved(embedding_assets, by=when_data_changed()),
    asset_checks=embedding_checks,
)
