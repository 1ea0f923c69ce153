"""The candidate and the champion."""

import dagster as dg

from twin_assets.automation import moved, when_data_changed, when_measured
from twin_assets.release.assets import candidate, champion
from twin_assets.release.checks import release_checks
from twin_assets.release.sensors import canaries

defs = dg.Definitions(
    assets=[*moved([candidate], by=when_measured()), *moved([champion], by=when_data_changed())],
    asset_checks=release_checks,
    sensors=[canaries],
)
