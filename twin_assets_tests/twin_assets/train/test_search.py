"""Searches for hyper-parameters over a model made on the spot: what they find, and what becomes of each trial."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from twin_assets import keys
from twin_assets.dataset.files import SPLITS, write_instruct
from twin_assets.dataset.samples import InstructDataset, InstructSample
from twin_assets.definitions import defs
from twin_assets.train.backends.guards import Interrupted
from twin_assets.train.backends.peft import PeftBackend
from twin_assets.train.search import side_by_side
from twin_assets.train.search.job import run
from twin_assets.train.search.side_by_side import Trier
from twin_assets.train.search.study import NothingFound, Search
from twin_assets.train.search.trials import Plan, Trials
from twin_assets_tests.support.tiny_models import FIRST, SECOND, TinyModels
from twin_resources.config.settings import Settings
from twin_resources.config.training import TrainingSettings
from twin_resources.database import postgres
from twin_resources.runtime.launcher import Compute
from twin_resources.runtime.resources import Twin
from twin_resources.runtime.tracking import Tracking
from twin_resources.storage.datasets import Datasets
from twin_resources.storage.training.searches import Searches, Trial
from twin_resources.storage.warehouse import Warehouse

pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing`:FutureWarning", "ignore::DeprecationWarning"
)
SHORT: dict[str, Any] = {
    "batch_size": 4,
    "gradient_accumulation": 1,
    "max_sample_tokens": 512,
    "token_budget": 4000,
    "checkpoint_every": 1,
}
RANGES: dict[str, Any] = {"token_budget": 4000, "learning_rate": (1e-3, 2e-2)}


@dataclass
class World:
    """A tiny base, an instruct dataset without its test split, and searches by name, each over a base of its name."""

    settings: Settings
    base: Path
    dataset: Path
    workdir: Path
    lines: list[str] = field(default_factory=list)

    @property
    def searches(self) -> Searches:
        return Searches(postgres.engine(postgres.databases(self.settings.postgres)))

    def plan(self, name: str, *rates: float, trials: int, training: TrainingSettings | None = None) -> Plan:
        """A search for the learning rate that starts with ``rates``."""
        chosen = training or TrainingSettings(**SHORT, search=RANGES)  # pyright: ignore[reportArgumentType]
        return Plan(
            search=name,
            author="ada",
            author_name="Ada Berg",
            base=f"base of {name}",
            base_folder=self.base,
            dataset_id="d1",
            dataset_folder=self.dataset,
            training=chosen,
            names=("learning_rate",),
            first=[{**chosen.searched, "learning_rate": rate} for rate in rates],
            trials=trials,
            workdir=self.workdir / name,
        )

    def __call__(self, plan: Plan, ended_in: str = "") -> list[Trial]:
        """Make a search; it is asked to end at the second step of the trial of that line."""
        seen: list[str] = []

        def log(line: str) -> None:
            seen.append(line)
            if ended_in and ": step 2 of" in line and any(ended_in in each for each in seen):
                os.kill(os.getpid(), signal.SIGTERM)

        try:
            run(plan, self.settings, PeftBackend(), log)
        finally:
            self.lines = seen
        return self.searches.trials(plan.search)


def write(folder: Path, *, test: bool = False) -> Path:
    """An instruct dataset of two sentences."""
    samples = [
        InstructSample(
            id=f"{split}-{number}",
            split=split,
            category="articles",
            kind="write",
            instruction=f"Say {number}",
            answer=(FIRST, SECOND)[number % 2],
            passages=(),
            document_id=f"doc-{number}",
            url="",
            chunk_ids=(),
        )
        for split, count in zip(SPLITS, (24, 2, 2), strict=True)
        for number in range(count)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    write_instruct(folder, InstructDataset("ada", samples))
    if not test:
        (folder / "test.parquet").unlink()
    return folder


@pytest.fixture(scope="module")
def world(
    new_settings: Callable[..., Settings],
    tiny_models: Callable[[str], TinyModels],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    settings = new_settings(models={"dtype": "float32"})
    engine = postgres.engine(postgres.prepare(settings.postgres))
    Warehouse(engine).record_author(settings.author("ada"))
    Datasets(engine).add("d1", "ada", "instruct", "datasets/d1", {}, ())
    folder = tmp_path_factory.mktemp("search")
    yield World(settings, tiny_models("llama").base, write(folder / "dataset"), folder / "work")
    engine.dispose()


def test_a_search_beats_a_bad_default_and_shows_its_trials_in_mlflow(world: World) -> None:
    plan = world.plan("better", 1e-7, trials=3)
    trials = world(plan)
    found = world.searches.best("ada", plan.base)
    assert found
    assert [trial.state for trial in trials] == ["complete"] * 3
    assert 1e-3 <= found.parameters["learning_rate"] <= 2e-2
    assert found.validation_loss == min(trial.loss for trial in trials if trial.loss)
    assert found.validation_loss < 0.9 * (trials[0].loss or 0)
    assert (found.trials, found.dataset_id) == (3, "d1")
    assert not plan.workdir.exists()
    steps = [line for line in world.lines if ": step " in line]
    assert {line.split(":")[0] for line in steps} == {f"trial {number} of 3" for number in (1, 2, 3)}
    assert any("best so far" in line for line in world.lines)

    client, parent = Tracking(world.settings).client, world.searches.tracking_run("better")
    assert parent
    assert client.get_run(parent).info.status == "FINISHED"
    for trial in trials:
        shown = client.get_run(trial.tracking_run or "")
        assert shown.data.tags["mlflow.parentRunId"] == parent
        assert float(shown.data.params["learning_rate"]) == trial.parameters["learning_rate"]
        assert shown.data.tags["twin.outcome"] == f"complete, validation loss {trial.loss:.4f}"
        curve = client.get_metric_history(trial.tracking_run or "", "eval_loss")
        assert [(each.step, each.value) for each in curve] == [pytest.approx(pair) for pair in trial.losses]


def test_a_search_that_was_ended_goes_on_and_comes_to_the_same(world: World) -> None:
    undisturbed = world(world.plan("undisturbed", 5e-3, trials=2))
    plan = world.plan("ended", 5e-3, trials=2)
    with pytest.raises(Interrupted):
        world(plan, ended_in="trial 2 of 2")
    before = world.searches.trials("ended")
    assert [trial.state for trial in before] == ["complete", "running"]
    assert world.searches.best("ada", plan.base) is None, "what has not ended is used by nobody"
    resumed = world(plan)
    assert not [line for line in world.lines if line.startswith("trial 1 ")], "what was made is not made again"
    assert resumed[0] == before[0]
    assert resumed[1].tracking_run == before[1].tracking_run
    for one, other in zip(resumed, undisturbed, strict=True):
        assert one.parameters == other.parameters
        assert one.loss == pytest.approx(other.loss, abs=1e-6)
    assert len(world(replace(plan, trials=3))) == 3, "more trials go on from there, too"
    assert [line for line in world.lines if line.startswith("trial 3 of 3")]


def test_a_trial_that_diverges_fails_and_the_search_goes_on(world: World) -> None:
    failed, complete = world(world.plan("diverging", 1e30, 5e-3, trials=2))
    assert (failed.state, complete.state) == ("failed", "complete")
    assert "is nan at step" in failed.reason
    assert failed.loss is None
    shown = Tracking(world.settings).client.get_run(failed.tracking_run or "")
    assert (shown.info.status, shown.data.tags["twin.outcome"][:8]) == ("FAILED", "failed (")
    with pytest.raises(NothingFound, match=r"none of 1 trials came to its end.*is nan.*training\.search"):
        world(world.plan("hopeless", 1e30, trials=1))


def test_a_trial_that_is_behind_is_pruned_and_says_so(world: World) -> None:
    ranges = {**RANGES, "learning_rate": (1e-6, 2e-2), "startup_trials": 1}
    training = TrainingSettings(**SHORT, search=ranges)  # pyright: ignore[reportArgumentType]
    first, behind = world(world.plan("pruned", 1e-2, 1e-6, trials=2, training=training))
    assert (first.state, behind.state) == ("complete", "pruned")
    assert "above the median" in behind.reason
    assert 1 < len(behind.losses) < len(first.losses)
    shown = Tracking(world.settings).client.get_run(behind.tracking_run or "")
    assert (shown.info.status, shown.data.tags["twin.outcome"][:8]) == ("KILLED", "pruned (")


class Here:
    """Actors of this process: two calls at a time, of which one ends its actors, or the leader ends."""

    def __init__(self, search: Search, *, ends_actors: int = -1, ends: int = -1) -> None:
        self._trier: Trier = object.__new__(Trier)
        self._trier._search = search
        self._ends_actors, self._ends = ends_actors, ends

    def each(self, method: str, calls: Iterator[tuple[int, tuple[int]]], given_up: Any) -> Iterator[tuple[int, Trial]]:
        taken = list(itertools.islice(calls, 2))
        while taken:
            number, arguments = taken.pop(0)
            if number == self._ends:
                raise Interrupted("asked to end")
            lost = number == self._ends_actors
            done = given_up(number, OSError("gone")) if lost else getattr(self._trier, method)(*arguments)
            yield number, done
            taken += itertools.islice(calls, 1)

    def close(self) -> None:
        pass


def test_trials_side_by_side_find_the_best_also_where_one_is_lost_and_the_leader_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.plan("beside", 1e-7, 5e-3, trials=4)
    settings = world.settings.model_copy(update={"ray": world.settings.ray.model_copy(update={"trials": 2})})

    def search(**ends: int) -> list[Trial]:
        def make(made: Trials) -> Trial:
            monkeypatch.setattr(side_by_side, "Actors", lambda *_, **__: Here(made.search, **ends))
            return side_by_side.side_by_side(made, settings, {})

        run(plan, settings, PeftBackend(), world.lines.append, make)
        return world.searches.trials(plan.search)

    with pytest.raises(Interrupted):
        search(ends=1)
    before = world.searches.trials(plan.search)
    assert [trial.state for trial in before] == ["complete", "running", "running"]
    trials = search(ends_actors=2)
    assert [trial.state for trial in trials] == ["complete", "complete", "failed", "complete"]
    assert "3 processes ended over it" in trials[2].reason
    assert [trial.parameters for trial in trials[:3]] == [trial.parameters for trial in before]
    assert trials[0] == before[0], "what was made is not made again"
    assert len({trial.parameters["learning_rate"] for trial in trials}) == 4
    found = world.searches.found(plan.search)
    assert found
    assert found.validation_loss == min(trial.loss for trial in trials if trial.loss)


class Noting(Compute):
    """Notes what a training would be given, and does not train."""

    def launch(self, context: Any, module: str, extras: Any, **_: Any) -> dict[str, Any]:
        given = {**extras["parameters"], "from": extras["hyperparameters"]}
        raise dg.Failure(description="noted", metadata={"given": given})


def test_the_next_training_takes_what_was_found_unless_twin_yaml_sets_it(
    settings: Settings, tiny_models: Callable[[str], TinyModels], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.database_url
    monkeypatch.setenv("TWIN_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("TWIN_HOME", str(tmp_path))
    base = str(tiny_models("llama").base)
    author = {"id": "ada", "name": "Ada Berg", "consent": "Written for this test. 2026-11-21"}

    def configured(**training: Any) -> Twin:
        written = {"authors": [author], "models": {"base": base, "dtype": "float32"}, "training": {**SHORT, **training}}
        (tmp_path / "twin.yaml").write_text(yaml.safe_dump(written))
        return Twin(config=str(tmp_path / "twin.yaml"))

    twin = configured()
    twin.record_author("ada")
    address = twin.artifacts.put("datasets", write(tmp_path / "made", test=True))
    twin.datasets.add("d1", "ada", "instruct", address, {}, ())
    found = {"learning_rate": 0.005, "rank": 4, "alpha": 16, "epochs": 2, "dropout": 0.05}
    twin.searches.begin("5ea4c4", "ada", base=base, dataset_id="d1", measured_on="these")
    twin.searches.end("5ea4c4", Trial(0, found, "complete", [(0, 3.0), (4, 2.5)], "", None), 7)
    job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection={keys.SFT_ADAPTER})

    def train(twin: Twin, compute: Compute) -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("author", ["ada"])
            resources = {"twin": twin, "compute": compute}
            return job.execute_in_process(
                instance=instance, partition_key="ada", resources=resources, raise_on_error=False
            )

    assert train(twin, Compute()).success
    adapter = twin.releases.newest_adapter("ada")
    assert adapter
    assert {name: adapter.parameters[name] for name in found} == found
    card = (twin.artifacts.folder(adapter.artifact) / "README.md").read_text()
    assert "rank, alpha, epochs, dropout from search 5ea4c4 (7 trials, validation loss 2.5000 on dataset d1" in card
    assert "| learning_rate | 0.005 |" in card

    def noted(**training: Any) -> dict[str, Any]:
        failure = train(configured(**training), Noting()).get_step_failure_events()[0].step_failure_data
        assert failure.user_failure_data
        return failure.user_failure_data.metadata["given"].value  # pyright: ignore[reportReturnType]

    given = noted(rank=8, learning_rate=0.001)
    assert (given["learning_rate"], given["rank"], given["alpha"], given["epochs"]) == (0.001, 8, 32, 2)
    assert given["from"].startswith("alpha, epochs, dropout from search")
    given = noted(**{name: value for name, value in found.items() if name != "rank"}, rank=2)
    assert (given["rank"], given["from"]) == (2, "from twin.yaml and defaults")
