"""Assembly of the asset graph: the definitions of every stage, merged. No I/O and no heavy import happens here."""

from __future__ import annotations

import warnings

import dagster as dg

warnings.filterwarnings("ignore", category=dg.PreviewWarning)
warnings.filterwarnings("ignore", category=dg.BetaWarning)

from twin_assets import automation, recovery  # noqa: E402
from twin_assets.chunk import definitions as chunk  # noqa: E402
from twin_assets.clean import definitions as clean  # noqa: E402
from twin_assets.collect import definitions as collect  # noqa: E402
from twin_assets.dataset import definitions as dataset  # noqa: E402
from twin_assets.embed import definitions as embed  # noqa: E402
from twin_assets.evaluate import definitions as evaluate  # noqa: E402
from twin_assets.monitor import definitions as monitor  # noqa: E402
from twin_assets.release import definitions as release  # noqa: E402
from twin_assets.train import definitions as train  # noqa: E402
from twin_resources.runtime.launcher import Compute  # noqa: E402
from twin_resources.runtime.presence import announcing_executor  # noqa: E402
from twin_resources.runtime.resources import Twin  # noqa: E402

STAGES = (collect, clean, chunk, embed, dataset, train, evaluate, release, monitor)


def _assembled() -> dg.Definitions:
    stages = dg.Definitions.merge(*(stage.defs for stage in STAGES))
    return dg.Definitions(
        assets=dg.with_source_code_references(list(stages.assets or ())),
        asset_checks=stages.asset_checks,
        schedules=stages.schedules,
        jobs=[*(stages.jobs or ()), automation.collection_job],
        sensors=[
            *(stages.sensors or ()),
            automation.cpu_automation,
            automation.gpu_automation,
            automation.collection,
            recovery.recovery,
        ],
        resources={"twin": Twin(), "compute": Compute()},
        executor=announcing_executor,
    )


defs = _assembled()
