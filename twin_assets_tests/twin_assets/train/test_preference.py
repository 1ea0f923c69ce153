"""Learning from preference pairs: the loss, a training, and when there is none."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from twin_assets import keys
from twin_assets.dataset.files import write_preference
from twin_assets.dataset.generators.preference import PreferencePair
from twin_assets.definitions import defs
from twin_assets.train import job
from twin_assets.train.backends.peft import PeftBackend
from twin_assets.train.preference import PreferenceObjective, encode_pairs
from twin_assets_tests.support.tiny_models import FIRST, SECOND, TinyModels
from twin_resources.config.settings import Settings
from twin_resources.config.training import TrainingSettings
from twin_resources.models import causal
from twin_resources.models.memory import Memory
from twin_resources.rag import prompt
from twin_resources.runtime.launcher import Compute
from twin_resources.runtime.resources import Twin
from twin_resources.storage import lineage
from twin_resources.storage.releases import Adapter

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


def _pairs(count: int) -> list[PreferencePair]:
    """The second sentence chosen over the first, whatever is asked."""
    return [PreferencePair(f"pair-{n}", f"Question {n}?", SECOND, FIRST, f"trace-{n}") for n in range(count)]


@dataclass
class Told:
    """What a training job is told, and what it tells."""

    extras: dict[str, Any]
    lines: list[str] = field(default_factory=list)

    def get_extra(self, name: str) -> Any:
        return self.extras[name]

    def log(self, message: str) -> None:
        self.lines.append(message)

    def metric(self, name: str, value: float, step: int) -> None:
        pass


def test_the_loss_is_that_of_the_paper(tiny_models: Callable[[str], TinyModels]) -> None:
    import peft

    tiny = tiny_models("llama")
    tokenizer = causal.load_tokenizer(tiny.base)
    model = peft.PeftModel.from_pretrained(causal.load_model(tiny.base, "float32"), tiny.first).eval()
    found = encode_pairs(tokenizer, _pairs(30), "Ada", 200)
    assert len(found.train) + len(found.validation) == 30
    assert found.validation
    turns = prompt.render(tokenizer, prompt.messages(_pairs(30)[0].prompt, (), author="Ada"))
    first = [causal.encode(tokenizer, turns, text, 200, whole=True) for text in (SECOND, FIRST)]
    assert [found.train[0].chosen, found.train[0].rejected] == first, "tokens come back from the file as they were"
    assert found.train[-1] != found.train[0]
    few = encode_pairs(tokenizer, _pairs(2), "Ada", 200)
    assert (len(few.train), len(few.validation)) == (1, 1), "one is watched where none is held out"
    assert encode_pairs(tokenizer, _pairs(3), "Ada", 40).too_long == 3
    objective, pair = PreferenceObjective(0.1), found.train[0]
    prepared, again = objective.prepared(model, [pair, pair], tokenizer.pad_token_id)
    assert again == prepared
    nats = {name: -next(causal.losses(model, [getattr(pair, name)], 0))[0] for name in ("chosen", "rejected")}
    assert prepared.reference == pytest.approx(nats["chosen"] - nats["rejected"], rel=1e-4)
    assert prepared.reference < -20, "the first adapter says the rejected sentence"
    loss, count = objective.loss(model, objective.collate([prepared] * 2, tokenizer.pad_token_id))
    assert count == 2
    assert float(loss) == pytest.approx(2 * math.log(2), rel=1e-4), "the reference itself prefers nothing"
    loss, _ = objective.loss(model, objective.collate([pair], tokenizer.pad_token_id))
    assert float(loss) == pytest.approx(math.log1p(math.exp(-0.1 * prepared.reference)), rel=1e-3)


def test_where_an_answer_was_cut_no_end_is_learned(tiny_models: Callable[[str], TinyModels]) -> None:
    tokenizer = causal.load_tokenizer(tiny_models("llama").base)
    pairs = [replace(pair, whole=n % 2 == 0) for n, pair in enumerate(_pairs(2))]
    whole, cut = (encode_pairs(tokenizer, [pair], "Ada", 200).validation[0] for pair in pairs)
    assert {side.ids[-1] for side in (whole.chosen, whole.rejected)} == {tokenizer.eos_token_id}
    assert tokenizer.eos_token_id not in {side.ids[-1] for side in (cut.chosen, cut.rejected)}
    assert cut.chosen.answer_length == whole.chosen.answer_length - 1, "and nothing else is left out"


def test_an_adapter_learns_to_prefer_what_was_chosen(
    tiny_models: Callable[[str], TinyModels], tmp_path: Path, server: Settings
) -> None:
    tiny = tiny_models("llama")
    write_preference(tmp_path, _pairs(40))
    told = Told(
        {
            "base_folder": str(tiny.base),
            "pairs_folder": str(tmp_path),
            "start_folder": str(tiny.first),
            "dataset_folder": str(tmp_path / "forgotten since"),
            "author_name": "Ada",
        }
    )
    parameters = TrainingSettings.model_validate({"dpo": {"learning_rate": 0.002, "epochs": 2}})
    settings = server.model_copy(update={"models": server.models.model_copy(update={"dtype": "float32"})})
    task = job._preference_task(told, PeftBackend(), settings, parameters, tmp_path / "checkpoints")  # type: ignore[arg-type]
    assert task.step_size == parameters.batch_size * parameters.gradient_accumulation
    trained = PeftBackend().train(task, told)
    watched = [entry["eval_loss"] for entry in trained.history if "eval_loss" in entry]
    assert watched[0] == pytest.approx(math.log(2), rel=1e-3), "it starts where its reference stands"
    assert watched[-1] < watched[0] / 2
    before = peft_margin(tiny, task.validation[0])
    objective = PreferenceObjective(0.1)
    [after] = objective.prepared(trained.model.eval(), task.validation[:1], task.pad_id)
    assert after.reference > before


def test_a_run_says_on_which_machine_and_by_which_code_it_was_made() -> None:
    told = Told({"base": "tiny", "hyperparameters": "from twin.yaml and defaults", "code_version": "4"})
    recorded = job._recorded(told, TrainingSettings.model_validate({"rank": 4}), Memory("NVIDIA H200", 1))  # type: ignore[arg-type]
    assert (recorded["rank"], recorded["base"], recorded["training_code"]) == (4, "tiny", "4")
    assert recorded["prompt_code"] == prompt.CODE_VERSION
    assert recorded["hardware"].startswith("NVIDIA H200, ")
    assert f"{os.cpu_count()} cores" in recorded["hardware"]
    assert "search" not in recorded


def peft_margin(tiny: TinyModels, pair: Any) -> float:
    """How many nats likelier the chosen answer is to the adapter that training started from."""
    import peft

    start = peft.PeftModel.from_pretrained(causal.load_model(tiny.base, "float32"), tiny.first).eval()
    return PreferenceObjective(0.1).prepared(start, [pair], 0)[0].reference


@dataclass
class World:
    """An author with trained adapters, and the asset that would train on."""

    twin: Twin
    instance: dg.DagsterInstance

    def add(self, version: str, kind: str) -> None:
        self.twin.datasets.add("data", "ada", "instruct", "datasets/data", {}, ())
        made: dict[str, Any] = {"base": "tiny", "artifact": "a", "parameters": {}, "metrics": {}, "dataset_id": "data"}
        row = {"id": f"id-{version}", "author": "ada", "version": version, "kind": kind, **made}
        self.twin.releases.add_adapter(Adapter(**row, tracking_run=None))

    def reason(self) -> str:
        """Why nothing was trained."""
        asset_job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection={keys.DPO_ADAPTER})
        done = asset_job.execute_in_process(
            instance=self.instance, partition_key="ada", resources={"twin": self.twin, "compute": Compute()}
        )
        [event] = done.get_asset_materialization_events()
        return str(event.materialization.metadata["reason"].value)

    def candidate(self) -> str:
        found = self.twin.releases.newest_of("ada", "data")
        assert found
        return found.version


@pytest.fixture
def world(new_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    settings = new_settings()
    assert settings.database_url
    monkeypatch.setenv("TWIN_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("TWIN_HOME", str(tmp_path))
    author = {"id": "ada", "name": "Ada Berg", "consent": "Written for this test. 2026-11-21"}
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump({"authors": [author]}))
    twin = Twin(config=str(tmp_path / "twin.yaml"))
    twin.record_author("ada")
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("author", ["ada"])
        yield World(twin, instance)


def test_with_too_few_pairs_the_adapter_of_the_instruct_dataset_is_the_candidate(world: World) -> None:
    world.add("ada-sft", "sft")
    assert world.reason() == "0 preference pairs are too few to learn from; it takes 20"
    world.twin.datasets.add("few", "ada", "preference", "datasets/few", {"pairs": 19}, ())
    assert "19 preference pairs are too few" in world.reason()
    world.add("ada-dpo", "dpo")
    assert world.candidate() == "ada-dpo", "the newest adapter of either kind"
    world.reason()
    assert world.candidate() == "ada-sft", "the pairs are gone, and so is what was learned from them"
    lineage.retire(world.twin.engine, "ada-sft", "trained on what was forgotten")
    assert "ada-sft is retired" in world.reason()
