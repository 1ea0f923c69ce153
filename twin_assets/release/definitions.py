"""The candidate and the champion."""

import dagster as dg

from twin_assets.automation import when_data_changed
from twin_assets.release.assets import release_assets
from twin_assets.release.checks import release_checks

defs = dg.Definitions(
    assets=[each.with_attributes(automation_condition=when_data_changed()) for each in release_assets],
    asset_checks=release_checks,
)
