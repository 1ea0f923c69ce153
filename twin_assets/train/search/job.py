"""A search for hyper-parameters in a process of its own; a killed one goes on from the trials it has."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable
from typing import Any

from dagster_pipes import PipesContext, open_dagster_pipes

from twin_assets.train.backends.base import Backend
from twin_assets.train.backends.guards import Interrupted, TrainingError
from twin_assets.train.backends.peft import PeftBackend
from twin_assets.train.search.trials import Plan, Trials
from twin_resources.config.settings import Settings, load
from twin_resources.runtime.processes import end_with_parent
from twin_resources.runtime.ray import in_ray_job
from twin_resources.storage.training.searches import Trial

_INTERRUPTED = 143


def run(
    plan: Plan,
    settings: Settings,
    backend: Backend,
    log: Callable[[str], None],
    make: Callable[[Trials], Trial] = lambda made: made.search.run(made.plan.trials),
) -> Trial:
    """Search, store what was found, and return the best trial.

    Args:
        make: makes the trials.

    Raises:
        NothingFound: no trial came to its end.
        Interrupted: the process was asked to end; started again, it goes on.
    """
    made = Trials.of(plan, settings, backend, log)
    try:
        best = make(made)
    except TrainingError as error:
        if not isinstance(error, Interrupted):
            made.fail(error)
        raise
    made.end(best)
    return best


def _job(context: PipesContext) -> dict[str, Any]:
    plan, settings = Plan.of(context.extras), load(context.get_extra("config"))
    if settings.ray.trials and in_ray_job():
        from twin_assets.train.search.side_by_side import side_by_side

        best = run(
            plan, settings, PeftBackend(), context.log.info, lambda made: side_by_side(made, settings, context.extras)
        )
    else:
        best = run(plan, settings, plan.backend(settings.models.dtype, context.log.info), context.log.info)
    return {"search": plan.search, "best": best.number}


if __name__ == "__main__":
    end_with_parent()
    code = 0
    warnings.simplefilter("ignore")
    logging.getLogger().setLevel(logging.ERROR)
    with open_dagster_pipes() as pipes:
        try:
            pipes.report_custom_message(_job(pipes))
        except TrainingError as error:
            pipes.log.error(str(error))
            code = _INTERRUPTED if isinstance(error, Interrupted) else 1
    sys.exit(code)
