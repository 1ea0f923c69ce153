"""What a search may vary, as Optuna's distributions, and the way between a trial's values and hyper-parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna import distributions

from twin_resources.config.training import TrainingSettings, alpha_of

_MULTIPLE = "alpha_per_rank"


@dataclass(frozen=True)
class Space:
    """The open hyper-parameters of ``training`` and their ranges; the others stay as they are set.

    Args:
        axes: Optuna's distribution of each; alpha is one of multiples of the rank.
        training: what a trial trains with where nothing is varied.
    """

    axes: Mapping[str, distributions.BaseDistribution]
    training: TrainingSettings

    @classmethod
    def of(cls, training: TrainingSettings, names: tuple[str, ...], epoch_tokens: int) -> Space:
        """The ranges of ``training.search`` for the hyper-parameters ``names``.

        Args:
            epoch_tokens: of one pass over the training samples. More epochs than the tokens of a trial last for would
                be one and the same trial, so they are left out.
        """
        ranges, budget = training.search, trial_budget(training)
        fewest, most = ranges.epochs
        most = max(fewest, min(most, math.ceil(budget / max(1, epoch_tokens))))
        axes: dict[str, distributions.BaseDistribution] = {
            "learning_rate": distributions.FloatDistribution(*ranges.learning_rate, log=True),
            "rank": distributions.CategoricalDistribution(ranges.rank),
            "alpha": distributions.CategoricalDistribution(ranges.alpha),
            "epochs": distributions.IntDistribution(fewest, most),
            "dropout": distributions.CategoricalDistribution(ranges.dropout),
        }
        chosen = {_axis(name): axis for name, axis in axes.items() if name in names}
        return cls(chosen, training.model_copy(update={"token_budget": budget}))

    def parameters(self, values: Mapping[str, Any]) -> dict[str, float]:
        """All searched hyper-parameters of a trial with Optuna's ``values``."""
        found = {**self.training.searched, **{name: values[name] for name in values if name != _MULTIPLE}}
        if _MULTIPLE in values:
            found["alpha"] = alpha_of(int(found["rank"]), values[_MULTIPLE])
        return found

    def values(self, parameters: Mapping[str, float]) -> dict[str, Any] | None:
        """Optuna's values of hyper-parameters; None where they lie outside of the ranges."""
        known = {**parameters, _MULTIPLE: parameters["alpha"] / parameters["rank"]}
        found = {name: known[name] for name in self.axes}
        return found if all(_holds(axis, found[name]) for name, axis in self.axes.items()) else None

    def settings(self, parameters: Mapping[str, float]) -> TrainingSettings:
        """What a trial of these hyper-parameters trains with."""
        return self.training.model_copy(update=dict(parameters))


def trial_budget(training: TrainingSettings) -> int:
    """Training tokens of a trial: ``training.search.token_budget``, and no more than a training has."""
    return min(training.search.token_budget, training.token_budget or training.search.token_budget)


def _axis(name: str) -> str:
    return _MULTIPLE if name == "alpha" else name


def _holds(axis: distributions.BaseDistribution, value: float) -> bool:
    """Whether a distribution gives a value."""
    if isinstance(axis, distributions.CategoricalDistribution):
        return value in axis.choices
    if isinstance(axis, distributions.FloatDistribution | distributions.IntDistribution):
        return axis.low <= value <= axis.high
    raise TypeError(f"no such axis: {axis}")
