"""Searches for hyper-parameters, trial by trial, so that a killed one goes on; and the best that was ever found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from twin_resources.database.schema import parameter_search, search_trial

TrialState = Literal["running", "complete", "pruned", "failed"]


@dataclass(frozen=True)
class Trial:
    """One training of a search.

    ``parameters`` are those of the training (see ``training.SEARCHED``); ``losses`` the optimizer step of each
    evaluation with its validation loss; ``reason`` says why it was pruned or failed.
    """

    number: int
    parameters: Mapping[str, float]
    state: TrialState
    losses: Sequence[tuple[int, float]]
    reason: str
    tracking_run: str | None

    @property
    def loss(self) -> float | None:
        """The validation loss it came to; None where it did not come to its end."""
        return self.losses[-1][1] if self.state == "complete" else None


@dataclass(frozen=True)
class Found:
    """What a search that ended found: the parameters with the lowest validation loss (nats a token)."""

    search: str
    base: str
    dataset_id: str
    parameters: Mapping[str, float]
    validation_loss: float
    trials: int
    ended_at: datetime

    def told(self, names: Sequence[str]) -> str:
        """Where the parameters ``names`` come from, for a person."""
        return (
            f"{', '.join(names)} from search {self.search[:8]} ({self.trials} trials, validation loss "
            f"{self.validation_loss:.4f} on dataset {self.dataset_id[:8]}, {self.ended_at:%Y-%m-%d})"
        )


_TRIALS = sa.select(*(search_trial.c[name] for name in Trial.__dataclass_fields__))
_NAMES = ("base", "dataset_id", "parameters", "validation_loss", "trials", "ended_at")
_FOUND = sa.select(parameter_search.c.id, *(parameter_search.c[name] for name in _NAMES)).where(
    parameter_search.c.ended_at.is_not(None)
)


class Searches:
    """Reads and writes the tables ``parameter_search`` and ``search_trial``."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def begin(self, search: str, author_id: str, *, base: str, dataset_id: str, measured_on: str) -> None:
        """Note a search; one that is known goes on.

        Args:
            measured_on: hash of what its losses were measured on; only losses on the same are held against one another.
        """
        row = {"id": search, "author": author_id, "base": base, "dataset_id": dataset_id, "measured_on": measured_on}
        with self.engine.begin() as session:
            session.execute(insert(parameter_search).values(**row).on_conflict_do_nothing())

    def tracking_run(self, search: str) -> str | None:
        """The run in MLflow that the search belongs to, once it is known."""
        query = sa.select(parameter_search.c.tracking_run).where(parameter_search.c.id == search)
        with self.engine.connect() as session:
            return session.scalar(query)

    def keep_tracking_run(self, search: str, run_id: str) -> None:
        """Remember the run in MLflow."""
        change = sa.update(parameter_search).where(parameter_search.c.id == search)
        with self.engine.begin() as session:
            session.execute(change.values(tracking_run=run_id))

    def keep(self, search: str, trial: Trial) -> None:
        """Store a trial as it is now."""
        values = {name: getattr(trial, name) for name in Trial.__dataclass_fields__}
        values |= {"parameters": dict(trial.parameters), "losses": list(trial.losses)}
        statement = insert(search_trial).values(search=search, **values)
        change = statement.on_conflict_do_update(index_elements=["search", "number"], set_=values)
        with self.engine.begin() as session:
            session.execute(change)

    def trials(self, search: str) -> list[Trial]:
        """All trials of a search in their order."""
        query = _TRIALS.where(search_trial.c.search == search).order_by(search_trial.c.number)
        with self.engine.connect() as session:
            rows = session.execute(query).mappings().all()
        return [Trial(**{**row, "losses": [(step, loss) for step, loss in row["losses"]]}) for row in rows]

    def end(self, search: str, best: Trial, trials: int) -> None:
        """Note what a search found in ``trials`` trials."""
        values: dict[str, Any] = {"parameters": dict(best.parameters), "validation_loss": best.loss, "trials": trials}
        change = sa.update(parameter_search).where(parameter_search.c.id == search)
        with self.engine.begin() as session:
            session.execute(change.values(**values, ended_at=sa.func.clock_timestamp()))

    def found(self, search: str) -> Found | None:
        """What one search found; None while it has not ended."""
        with self.engine.connect() as session:
            row = session.execute(_FOUND.where(parameter_search.c.id == search)).one_or_none()
        return Found(*row) if row else None

    def best(self, author_id: str, base: str) -> Found | None:
        """What trainings of an author over a base use: the lowest loss of all searches that ended and were measured
        on what the newest of them was measured on."""
        mine = sa.and_(
            parameter_search.c.author == author_id,
            parameter_search.c.base == base,
            parameter_search.c.ended_at.is_not(None),
        )
        newest = sa.select(parameter_search.c.measured_on).where(mine).order_by(parameter_search.c.ended_at.desc())
        lowest = _FOUND.where(mine, parameter_search.c.measured_on == newest.limit(1).scalar_subquery()).order_by(
            parameter_search.c.validation_loss, parameter_search.c.ended_at
        )
        with self.engine.connect() as session:
            row = session.execute(lowest.limit(1)).one_or_none()
        return Found(*row) if row else None

    def newest(self, author_id: str) -> str | None:
        """The search of an author that was started or ended last."""
        at = sa.func.coalesce(parameter_search.c.ended_at, parameter_search.c.started_at)
        query = sa.select(parameter_search.c.id).where(parameter_search.c.author == author_id).order_by(at.desc())
        with self.engine.connect() as session:
            return session.scalar(query.limit(1))
