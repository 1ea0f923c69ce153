"""Assembly of the asset graph: one place that knows all rooms. No I/O and no heavy import happens here."""

from __future__ import annotations

import warnings

import dagster as dg

warnings.filterwarnings("ignore", category=dg.PreviewWarning)
warnings.filterwarnings("ignore", category=dg.BetaWarning)

from twin_assets.automation import collection, collection_job, cpu_lane, gpu_lane, hourly, when_data_changed  # noqa: E402
from twin_assets.chunk.assets import chunk_assets  # noqa: E402
from twin_assets.chunk.checks import chunk_checks  # noqa: E402
from twin_assets.clean.assets import clean_assets  # noqa: E402
from twin_assets.clean.checks import clean_checks  # noqa: E402
from twin_assets.collect.assets import raw_assets  # noqa: E402
from twin_assets.collect.checks import raw_checks  # noqa: E402
from twin_assets.dataset.assets import dataset_assets  # noqa: E402
from twin_assets.dataset.checks import dataset_checks  # noqa: E402
from twin_assets.embed.assets import embedding_assets  # noqa: E402
from twin_assets.embed.checks import embedding_checks  # noqa: E402
from twin_assets.evaluate.assets import evaluate_assets  # noqa: E402
from twin_assets.monitor.assets import monitor_assets, monitoring_report  # noqa: E402
from twin_assets.monitor.checks import monitor_checks  # noqa: E402
from twin_assets.release.assets import release_assets  # noqa: E402
from twin_assets.release.checks import release_checks  # noqa: E402
from twin_assets.train.assets import train_assets  # noqa: E402
from twin_assets.train.checks import train_checks  # noqa: E402
from twin_resources.runtime.launcher import Compute  # noqa: E402
from twin_resources.runtime.resources import Twin  # noqa: E402

_moved_by_data = [
    *clean_assets,
    *chunk_assets,
    *embedding_assets,
    *dataset_assets,
    *train_assets,
    *evaluate_assets,
    *release_assets,
]
_assets = [asset for asset in monitor_assets if asset is not monitoring_report]

defs = dg.Definitions(
    assets=[
        *raw_assets,
        *(asset.with_attributes(automation_condition=when_data_changed()) for asset in _moved_by_data),
        monitoring_report.with_attributes(automation_condition=hourly()),
        *_assets,
    ],
    asset_checks=[
        *raw_checks,
        *clean_checks,
        *chunk_checks,
        *embedding_checks,
        *dataset_checks,
        *train_checks,
        *release_checks,
        *monitor_checks,
    ],
    jobs=[collection_job],
    sensors=[cpu_lane, gpu_lane, collection],
    resources={"twin": Twin(), "compute": Compute()},
    executor=dg.in_process_executor,
)
