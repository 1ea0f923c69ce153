"""Trials of a search side by side: a leader that proposes them, and actors on Ray that make them (extra ``ray``)."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from twin_assets.train.search.study import best_of, outcome, written
from twin_assets.train.search.trials import Plan, Trials
from twin_resources.config.settings import Settings, load
from twin_resources.runtime.ray import room
from twin_resources.runtime.ray.actors import LOSSES, Actors
from twin_resources.storage.training.searches import Trial


class Trier:
    """An actor that makes trials, one after the other, as its leader names them.

    Args:
        extras: of the job, which say what is searched, and where ``twin.yaml`` is.
    """

    def __init__(self, extras: Mapping[str, Any]) -> None:
        warnings.simplefilter("ignore")
        logging.getLogger().setLevel(logging.ERROR)
        plan, settings = Plan.of(extras), load(extras["config"])
        self._search = Trials.of(plan, settings, plan.backend(settings.models.dtype, print), print).search

    def describe(self) -> int:
        """Its process."""
        return os.getpid()

    def carry_out(self, number: int) -> Trial:
        """The trial of this number, which was kept as running, as it ended."""
        trials = self._search.store.trials(self._search.id)
        (trial,) = (each for each in trials if each.number == number)
        return self._search.carry_out(trial, [each for each in trials if each.state != "running"])


def side_by_side(made: Trials, settings: Settings, extras: Mapping[str, Any]) -> Trial:
    """As :meth:`Search.run`, by ``ray.trials`` actors, each of the size of the pool ``gpu``.

    A trial whose process or node is lost goes on elsewhere from its last checkpoint; one that is lost again and again
    has failed, and the search goes on.

    Raises:
        NothingFound: none came to its end.
        JobError: no node has room for a trial.
    """
    search, plan = made.search, made.plan
    done = search.store.trials(plan.search)
    ended = {trial.number: trial for trial in done if trial.state != "running"}
    left = {trial.number: trial for trial in done if trial.state == "running"}
    at_work: dict[int, Trial] = {}
    if len(ended) >= plan.trials:
        return best_of(list(ended.values()))

    def proposals() -> Iterator[tuple[int, tuple[int]]]:
        while len(ended) + len(at_work) < plan.trials:
            number = next(each for each in range(plan.trials) if each not in ended and each not in at_work)
            search.log(search.standing(number, plan.trials, list(ended.values())))
            known = list(ended.values())
            at_work[number] = left.get(number) or search.propose(number, known, list(at_work.values()))
            yield number, (number,)

    def given_up(number: int, error: Exception) -> Trial:
        kept = {trial.number: trial for trial in search.store.trials(plan.search)}[number]
        reason = f"{LOSSES} processes ended over it one after another, most often for want of memory: {error}"
        return search.conclude(replace(kept, state="failed", reason=" ".join(reason.split())))

    size = settings.pools.gpu
    actors = Actors(
        Trier,
        (dict(extras),),
        min(settings.ray.trials, plan.trials - len(ended)),
        room=room(size),
        start_minutes=settings.ray.start_minutes,
        short=f"a trial in {{minutes}} minutes. Each asks for {size.cpus:g} CPUs, {size.memory_gib:g} GiB and "
        f"{size.gpus} GPUs beside the job itself: add a node, or ask for less with TWIN_POOLS__GPU__…",
    )
    try:
        for number, trial in actors.each("carry_out", proposals(), given_up):
            ended[number] = trial
            del at_work[number]
            search.log(f"trial {number + 1} {outcome(trial)}: {written(trial.parameters)}")
    finally:
        actors.close()
    return best_of(list(ended.values()))
