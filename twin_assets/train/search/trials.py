"""What a search is of, and what a process needs to make its trials: shown in MLflow, stored, and measured."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twin_assets.train.backends.base import Backend
from twin_assets.train.backends.choice import chosen
from twin_assets.train.backends.guards import TrainingError
from twin_assets.train.job import EncodedDataset
from twin_assets.train.preflight import fitted
from twin_assets.train.schedule import watched
from twin_assets.train.search.space import Space
from twin_assets.train.search.study import Report, Search, outcome
from twin_resources.config.settings import Settings
from twin_resources.config.training import TrainingSettings
from twin_resources.database.shards import author_engine
from twin_resources.models.fingerprint import fingerprint
from twin_resources.models.memory import Memory
from twin_resources.runtime.tracking import Tracking
from twin_resources.storage.training.searches import Searches, Trial
from twin_resources.text.identity import content_id_of

_STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
_LONGEST_TAG = 5000


@dataclass(frozen=True)
class Plan:
    """What is searched: over which base, on which dataset, from which settings.

    ``names`` are the hyper-parameters that are looked for, ``first`` what is tried before any are proposed, and
    ``trials`` how many trials there are to be in the end.
    """

    search: str
    author: str
    author_name: str
    base: str
    base_folder: Path
    dataset_id: str
    dataset_folder: Path
    training: TrainingSettings
    names: tuple[str, ...]
    first: Sequence[Mapping[str, float]]
    trials: int
    workdir: Path

    @classmethod
    def of(cls, extras: Mapping[str, Any]) -> Plan:
        """As the asset handed it over."""
        folders = {name: Path(extras[name]) for name in ("base_folder", "dataset_folder", "workdir")}
        given = ("search", "author", "author_name", "base", "dataset_id", "first", "trials")
        training = TrainingSettings(**extras["parameters"])
        names = tuple(extras["names"])
        return cls(**folders, **{name: extras[name] for name in given}, training=training, names=names)

    def backend(self, dtype: str, log: Callable[[str], None]) -> Backend:
        """What makes its trials in this process; see :func:`~twin_assets.train.backends.choice.chosen`."""
        return chosen(self.training, base=self.base_folder, dtype=dtype, workdir=self.workdir, log=log)


@dataclass(frozen=True)
class _InMlflow:
    """Shows trials as runs under that of their search."""

    tracking: Tracking
    plan: Plan
    parent: str

    def begins(self, trial: Trial) -> str:
        if trial.tracking_run:
            self.tracking.reopen(trial.tracking_run)
            return trial.tracking_run
        tags = {"twin.author": self.plan.author, "twin.search": self.plan.search}
        name = f"trial {trial.number + 1}"
        return self.tracking.start_under(self.parent, self.plan.author, name, trial.parameters, tags)

    def ends(self, trial: Trial) -> None:
        if trial.tracking_run is None:
            return
        if trial.loss is not None:
            self.tracking.metric(trial.tracking_run, "validation_loss", trial.loss)
            self.tracking.metric(self.parent, "validation_loss", trial.loss, trial.number)
        self.tracking.end(trial.tracking_run, _STATUS[trial.state], {"twin.outcome": outcome(trial)[:_LONGEST_TAG]})


@dataclass(frozen=True)
class _Watcher:
    """Passes what a training tells to MLflow, to people, and to the search, which may end it."""

    tracking: Tracking
    run_id: str
    steps: int
    report: Report
    say: Callable[[str], None]

    def log(self, message: str) -> None:
        self.say(message)

    def metric(self, name: str, value: float, step: int) -> None:
        self.tracking.metric(self.run_id, name, value, step)
        if name == "eval_loss":
            self.report(step, value, step >= self.steps)


@dataclass(frozen=True)
class Trials:
    """What a process needs to make trials of a search: the search, and where it is shown."""

    search: Search
    plan: Plan
    tracking: Tracking
    parent: str

    @classmethod
    def of(cls, plan: Plan, settings: Settings, backend: Backend, log: Callable[[str], None]) -> Trials:
        """Read the dataset, and note the search or find it.

        Raises:
            TrainingError: the dataset has nothing to compare trials by.
        """
        store, tracking = Searches(author_engine(settings, plan.author)), Tracking(settings)
        tokenizer = backend.tokenizer(plan.base_folder)
        dataset = EncodedDataset.read(plan.dataset_folder, tokenizer, plan.author_name, plan.training, log)
        if not dataset.validation:
            raise TrainingError(
                "the dataset has no validation samples, and by their loss trials are compared",
                "collect more documents; every tenth is validated on",
            )
        space = Space.of(plan.training, plan.names, sum(len(sample.ids) for sample in dataset.train))
        compared = watched(dataset.validation, dataset.train, space.training)
        measured_on = _measured_on(plan.base_folder, compared)
        store.begin(plan.search, plan.author, base=plan.base, dataset_id=plan.dataset_id, measured_on=measured_on)
        parent = _parent(store, tracking, plan)

        def measure(trial: Trial, report: Report) -> None:
            running = {f"trial-{each.number}" for each in store.trials(plan.search) if each.state == "running"}
            for other in plan.workdir.glob("trial-*"):
                if other.name not in running:
                    shutil.rmtree(other, ignore_errors=True)
            checkpoints = plan.workdir / f"trial-{trial.number}"

            def say(message: str) -> None:
                log(f"trial {trial.number + 1} of {plan.trials}: {message}")

            task = dataset.task(plan.base_folder, settings.models.dtype, space.settings(trial.parameters), checkpoints)
            task = fitted(task, Memory.here(), say, processes=None)
            steps = -(-len(task.train) // task.step_size)
            backend.train(task, _Watcher(tracking, trial.tracking_run or parent, steps, report, say))

        search = Search(plan.search, space, plan.first, store, _InMlflow(tracking, plan, parent), measure, log)
        return cls(search, plan, tracking, parent)

    def end(self, best: Trial) -> None:
        """Keep what was found."""
        self.search.store.end(self.plan.search, best, len(self.search.store.trials(self.plan.search)))
        told = f"trial {best.number + 1} is the best: {outcome(best)}"
        self.tracking.end(self.parent, "FINISHED", {"twin.outcome": told})
        shutil.rmtree(self.plan.workdir, ignore_errors=True)

    def fail(self, error: Exception) -> None:
        """Show that nothing was found."""
        self.tracking.end(self.parent, "FAILED", {"twin.outcome": str(error)[:_LONGEST_TAG]})


def _measured_on(base: Path, validation: Sequence[Any]) -> str:
    """What losses are of: the very samples, over the very base."""
    samples = (f"{sample.prompt_length} {sample.ids}" for sample in validation)
    return content_id_of((fingerprint(base), *samples))


def _parent(store: Searches, tracking: Tracking, plan: Plan) -> str:
    """The run of the search in MLflow, the same one when it goes on."""
    known = store.tracking_run(plan.search)
    if known:
        tracking.reopen(known)
        return known
    tags = {"twin.author": plan.author, "twin.dataset": plan.dataset_id, "twin.search": plan.search}
    recorded = {"base": plan.base, "searched": ", ".join(plan.names), **plan.training.search.model_dump()}
    run_id = tracking.start(plan.author, f"search {plan.search[:8]}", recorded, tags)
    store.keep_tracking_run(plan.search, run_id)
    return run_id
