"""The search itself: which hyper-parameters are tried next, which trial is not worth its end, and what is best.

Optuna (Akiba et al. 2019, arXiv:1907.10902) proposes by a tree-structured Parzen estimator (Bergstra et al. 2011) and
prunes by the median. Its study lives in memory and is built anew from the trials that are stored. A proposal is drawn
with a seed of its own number, so a search that was killed proposes what it would have proposed.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import optuna
from optuna.trial import TrialState as OptunaState

from twin_assets.train.backends.guards import Interrupted, TrainingError
from twin_assets.train.search.space import Space
from twin_resources.errors import TwinError
from twin_resources.storage.training.searches import Searches, Trial

optuna.logging.set_verbosity(optuna.logging.WARNING)

_STATES = {
    "running": OptunaState.RUNNING,
    "complete": OptunaState.COMPLETE,
    "pruned": OptunaState.PRUNED,
    "failed": OptunaState.FAIL,
}


class Pruned(Exception):
    """A trial is ended because its validation loss is above the median of the trials before it."""


Report = Callable[[int, float, bool], None]
"""Told the step and value of each validation loss, and whether it is the last one; raises :class:`Pruned`."""


class Diary(Protocol):
    """Who is told of trials besides the table, such as MLflow."""

    def begins(self, trial: Trial) -> str | None:
        """A trial starts, or goes on; returns the id of its run."""
        ...

    def ends(self, trial: Trial) -> None:
        """A trial ended."""
        ...


class NothingFound(TrainingError):
    """No trial of a search came to its end."""


@dataclass(frozen=True)
class Search:
    """One search, which goes on from the trials in ``store``.

    Args:
        first: hyper-parameters that are tried before any are proposed: what is set, and the best so far.
        measure: trains with hyper-parameters, reports each validation loss, and raises where there is no adapter.
    """

    id: str
    space: Space
    first: Sequence[Mapping[str, float]]
    store: Searches
    diary: Diary
    measure: Callable[[Trial, Report], None]
    log: Callable[[str], None]

    def run(self, trials: int) -> Trial:
        """Make trials until there are so many, whatever became of each; returns the best.

        Raises:
            NothingFound: none came to its end.
            Interrupted: the process was asked to end; the trial at hand is gone on with.
        """
        done = self.store.trials(self.id)
        ended = {trial.number: trial for trial in done if trial.state != "running"}
        going = {trial.number: trial for trial in done if trial.state == "running"}
        if done:
            self.log(f"going on after {len(ended)} trials")
        while len(ended) < trials:
            number = next(each for each in range(len(ended) + 1) if each not in ended)
            self.log(self.standing(number, trials, list(ended.values())))
            trial = going.get(number) or self.propose(number, list(ended.values()))
            ended[number] = self.carry_out(trial, list(ended.values()))
        return best_of(list(ended.values()))

    def standing(self, number: int, trials: int, ended: Sequence[Trial]) -> str:
        """How far the search is as a trial begins, for people."""
        complete = [trial for trial in ended if trial.state == "complete"]
        best = f"; best so far {best_of(complete).loss:.4f} (trial {best_of(complete).number + 1})" if complete else ""
        return f"trial {number + 1} of {max(trials, number + 1)}{best}"

    def propose(self, number: int, ended: Sequence[Trial], running: Sequence[Trial] = ()) -> Trial:
        """What a trial is to try, kept as one that runs.

        Args:
            running: trials beside it, near which nothing is proposed.
        """
        if number < len(self.first):
            parameters = dict(self.first[number])
        else:
            parameters = self.space.parameters(self._study(number, ended, running).ask(dict(self.space.axes)).params)
        trial = Trial(number, parameters, "running", [], "", None)
        self.store.keep(self.id, trial)
        return trial

    def carry_out(self, trial: Trial, ended: Sequence[Trial]) -> Trial:
        """Train with what a trial tries, from where it was left; returns and keeps it as it ended.

        Raises:
            Interrupted: the process was asked to end.
        """
        study, values = self._study(trial.number, ended), self.space.values(trial.parameters)
        asked = None
        if values is not None:
            study.enqueue_trial(values)
            asked = study.ask(dict(self.space.axes))
        trial = replace(trial, tracking_run=self.diary.begins(trial))
        losses = list(trial.losses)
        watch = _Watch(self, trial, asked, losses)
        try:
            self.measure(trial, watch.see)
            trial = replace(trial, state="complete", losses=losses)
        except Pruned as reason:
            trial = replace(trial, state="pruned", losses=losses, reason=str(reason))
        except TwinError as error:
            if isinstance(error, Interrupted):
                raise
            trial = replace(trial, state="failed", losses=losses, reason=str(error))
        return self.conclude(trial)

    def conclude(self, trial: Trial) -> Trial:
        """Keep a trial as it ended, and tell of it."""
        self.store.keep(self.id, trial)
        self.diary.ends(trial)
        self.log(f"trial {trial.number + 1} {outcome(trial)}: {written(trial.parameters)}")
        return trial

    def _study(self, number: int, ended: Sequence[Trial], running: Sequence[Trial] = ()) -> optuna.Study:
        """Optuna's memory of the trials within the ranges."""
        settings = self.space.training.search
        startup = settings.startup_trials
        median = optuna.pruners.MedianPruner(n_startup_trials=startup)
        seed = self.space.training.seed + number
        study = optuna.create_study(
            direction="minimize",
            sampler=_sampler(startup, seed, bool(running)),
            pruner=median if settings.pruning else optuna.pruners.NopPruner(),
        )
        for trial in sorted([*ended, *running], key=lambda each: each.number):
            values = self.space.values(trial.parameters)
            if values is not None:
                study.add_trial(
                    optuna.trial.create_trial(
                        state=_STATES[trial.state],
                        value=trial.loss,
                        params=values,
                        distributions=dict(self.space.axes),
                        intermediate_values={index: loss for index, (_, loss) in enumerate(trial.losses)},
                    )
                )
        return study


def _sampler(startup: int, seed: int, beside_others: bool) -> optuna.samplers.TPESampler:
    """Beside others it takes their trials for bad ones until they end (constant liar, Ginsbourger et al. 2010), so that
    not all try the same."""
    with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
        return optuna.samplers.TPESampler(n_startup_trials=startup, seed=seed, constant_liar=beside_others)


@dataclass
class _Watch:
    """Takes in the validation losses of one trial; one that goes on from a checkpoint may tell some again."""

    search: Search
    trial: Trial
    asked: optuna.Trial | None
    losses: list[tuple[int, float]]
    _reported: set[int] = field(default_factory=set)

    def see(self, step: int, loss: float, last: bool) -> None:
        if not math.isfinite(loss):
            return  # the training ends for it by itself
        self.losses[:] = [*(entry for entry in self.losses if entry[0] < step), (step, loss)]
        self.search.store.keep(self.search.id, replace(self.trial, losses=self.losses))
        if self.asked is None:
            return
        for index, (_, value) in enumerate(self.losses):
            if index not in self._reported:
                self._reported.add(index)
                self.asked.report(value, index)
        # The first is that of the base, which all have in common; after the last there is nothing to be saved.
        if len(self.losses) > 1 and not last and self.asked.should_prune():
            raise Pruned(f"validation loss {loss:.4f} at step {step} is above the median of the trials before")


def best_of(trials: Sequence[Trial]) -> Trial:
    """The trial with the lowest validation loss, the first of equals.

    Raises:
        NothingFound: none came to its end.
    """
    complete = [trial for trial in trials if trial.loss is not None]
    if not complete:
        reasons = sorted({trial.reason for trial in trials if trial.reason})
        raise NothingFound(
            f"none of {len(trials)} trials came to its end: {reasons[0] if reasons else 'there were none'}",
            "narrow the ranges of training.search in twin.yaml, the learning rate's above all",
        )
    return min(complete, key=lambda trial: (trial.loss or 0.0, trial.number))


def outcome(trial: Trial) -> str:
    """What became of a trial, in a few words."""
    if trial.loss is not None:
        return f"complete, validation loss {trial.loss:.4f}"
    return f"{trial.state} ({trial.reason})" if trial.reason else trial.state


def written(parameters: Mapping[str, float]) -> str:
    """Hyper-parameters in one line."""
    return ", ".join(f"{name} {value:.3g}" for name, value in parameters.items())
