"""What serving reports, and the report on it."""

import dagster as dg

from twin_assets.automation import hourly, moved
from twin_assets.monitor.assets import REPORTED, monitoring_report
from twin_assets.monitor.checks import monitor_checks
from twin_assets.monitor.schedules import daily, garbage
from twin_assets.monitor.sensors import alerts

defs = dg.Definitions(
    assets=[*REPORTED, *moved([monitoring_report], by=hourly())],
    asset_checks=monitor_checks,
    jobs=[garbage],
    schedules=[daily],
    sensors=[alerts],
)
