"""What was collected: raw assets, moved by the sensor of schedules and imports."""

import dagster as dg

from twin_assets.collect.assets import raw_assets
from twin_assets.collect.checks import raw_checks

defs = dg.Definitions(
    assets=raw_assets,
    asset_checks=raw_checks,
)
