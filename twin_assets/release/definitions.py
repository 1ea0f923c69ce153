"""The candidate and the champion."""

import dagster as dg

from twin_assets.automation import moved, when_data_changed
from twin_assets.release.assets import release_assets
from twin_assets.release.checks import release_checks

defs = dg.Definitions(
    assets=moved(release_assets, by=when_data_changed()),
    asset_checks=release_checks,
)
