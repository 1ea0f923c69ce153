"""Snapshot 2."""

import dagster as dg

from twin_assets.automation import when_data_changed
from twin_assets.embed.assets import embedding_assets
from twin_assets.embed.checks import embedding_checks

defs = dg.Definitions(
    assets=[each.with_attributes(automation_condition=when_data_changed()) for each in embedding_assets],
    asset_checks=embedding_checks,
)
