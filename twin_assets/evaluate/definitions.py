"""Reports on search and on adapters."""

import dagster as dg

from twin_assets.automation import (
    moved,
    when_adapter_changed,
    when_adapter_or_evidence_changed,
    when_data_changed,
)
from twin_assets.evaluate.assets import (
    answers_report,
    retrieval_report,
    silence_report,
    style_report,
)
from twin_assets.evaluate.checks import evaluate_checks
from twin_assets.evaluate.generation.assets import generation_report

defs = dg.Definitions(
    assets=[
        *moved([retrieval_report, silence_report], by=when_data_changed()),
        *moved([answers_report], by=when_adapter_or_evidence_changed()),
        *moved([generation_report, style_report], by=when_adapter_changed()),
    ],
    asset_checks=evaluate_checks,
)
