"""Dataset versions."""

import dagster as dg

from twin_assets.automation import moved, when_all_is_in
from twin_assets.dataset.assets import dataset_assets
from twin_assets.dataset.checks import dataset_checks

defs = dg.Definitions(
    assets=moved(dataset_assets, by=when_all_is_in()),
    asset_checks=dataset_checks,
)
