"""What is looked at while an adapter is trained: the curve stays as it is, and one that begins to recite is ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from twin_assets.dataset.files import write_instruct
from twin_assets.dataset.instruct import InstructDataset
from twin_assets.train.backends.base import Trained
from twin_assets.train.backends.group import Group
from twin_assets.train.backends.guards import Interrupted
from twin_assets.train.backends.peft import PeftBackend
from twin_assets.train.looks import plan, reciting
from twin_assets.train.looks.asked import Looks, looks_at
from twin_assets.train.looks.plan import Cost, affordable, evaluations, spread
from twin_assets.train.looks.record import Text
from twin_assets.train.looks.watch import Recites
from twin_assets_tests.support.rows import sample
from twin_assets_tests.support.tiny_models import FIRST, SECOND, TinyModels
from twin_assets_tests.support.training import STEPS, Seen, task, validated
from twin_resources.config.training import TrainingSettings
from twin_resources.models import causal
from twin_resources.models.lora import adapter_weights

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
OWN = "Anchors hold because somebody counted every link before the winter storm came."
Train = Callable[..., Trained]
Tell = Callable[[Sequence[Text]], None]


def _nobody(_: Sequence[Text]) -> None:
    pass


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three documents that say a sentence and are trained on, and three held-out ones that say another."""
    for name, count in {"LEAST_WORDS": 5, "BEGINNING": 4, "TOKENS": 8}.items():
        monkeypatch.setattr(reciting, name, count)
    for name in ("_STEP", "_ROW"):
        monkeypatch.setattr(plan, name, {"cpu": 0.1, "cuda": 0.1})
    rows = [
        sample("Say it.", text, id=f"{split}{each}", document_id=f"{split}{each}", split=split)
        for split, text in (("train", FIRST), ("validation", OWN), ("test", SECOND))
        for each in "abc"
    ]
    (tmp_path / "data").mkdir()
    write_instruct(tmp_path / "data", InstructDataset("ada", rows))
    return tmp_path / "data"


@pytest.fixture
def train(tiny_models: Callable[[str], TinyModels], dataset: Path, tmp_path: Path) -> Train:
    """Trains eight steps, whose learning and looks are set, and goes on from the checkpoints of the same ``name``."""
    base = tiny_models("llama").base

    def run(
        name: str,
        seen: Seen | None = None,
        looked: bool = True,
        tell: Tell = _nobody,
        samples: int | None = None,
        **parameters: Any,
    ) -> Trained:
        backend, chosen = PeftBackend(), {"seed": 5, "dropout": 0.1, **parameters}
        made = task(base, tmp_path / name, **chosen)
        learned = [f"train{each}" for each in "abc"]
        looks = replace(looks_at(dataset, backend.tokenizer(base), "Ada", made.parameters, learned), tell=tell)
        rows = [*made.train, *made.train][: samples or len(made.train)]
        return backend.train(replace(made, train=rows, looks=looks if looked else None), seen or Seen())

    return run


TEXTS = {"sample_texts": {"prompts": 2, "tokens": 8, "share": 0.5}, "reciting": {"stop_above": None}}


def test_the_curve_is_the_same_to_the_last_digit_whatever_writing_does(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = train("without", looked=False)
    continued = causal.continued

    def drawing(model: Any, *rest: Any) -> list[list[int]]:
        assert not model.training
        torch.rand(3)
        return continued(model, *rest)

    monkeypatch.setattr(causal, "continued", drawing)
    seen = Seen()
    watched = train("watched", seen, **TEXTS)
    assert watched.looked
    assert {each.step for each in watched.looked.texts} == {0, STEPS // 2, STEPS}
    assert watched.history == without.history
    ours, theirs = (adapter_weights(each.model) for each in (watched, without))
    assert all(torch.equal(each, theirs[name]) for name, each in ours.items())
    last = watched.looked.last_texts
    assert [(each.step, each.question, bool(each.text)) for each in last] == [(STEPS, "Say it.", True)] * 2
    assert OWN.startswith(last[0].own)
    assert seen.lines.count(f"step {STEPS}, asked: Say it.") == 2
    assert f"it writes: {last[0].text}" in seen.lines


def test_one_that_was_ended_still_knows_what_it_wrote(train: Train) -> None:
    whole = train("whole", **TEXTS)
    with pytest.raises(Interrupted):
        train("ended", Seen(at=5, act=lambda: os.kill(os.getpid(), signal.SIGTERM)), **TEXTS)
    resumed = train("ended", **TEXTS)
    assert resumed.resumed
    assert whole.looked
    assert resumed.looked
    assert resumed.looked.texts == whole.looked.texts
    assert validated(resumed) == pytest.approx(validated(whole), abs=1e-6)


def by_heart(stop_above: float | None) -> dict[str, Any]:
    """Looks at what is recited at each evaluation."""
    return {"sample_texts": {"prompts": 0}, "reciting": {"stop_above": stop_above, "texts": 3, "share": 0.5}}


def test_one_that_begins_to_recite_is_stopped_and_what_was_before_is_kept(train: Train) -> None:
    seen = Seen()
    stopped = train("stopped", seen, learning_rate=0.02, **by_heart(0.2))
    looked = stopped.looked
    assert looked
    assert looked.kept, seen.lines
    assert looked.stopped == next(line for line in seen.lines if "by heart" in line)
    assert looked.stopped_at == STEPS
    assert (stopped.steps, looked.kept.step) == (STEPS // 2, STEPS // 2)
    assert stopped.validation_losses[-1] == looked.kept.loss < stopped.validation_losses[0]
    assert [each.excess > 0.2 for each in looked.recited] == [False, False, True]


def test_an_ordinary_one_is_not_stopped(train: Train) -> None:
    ordinary = train("ordinary", learning_rate=1e-4, **by_heart(0.2))
    assert ordinary.looked
    assert (ordinary.looked.stopped, ordinary.steps) == (None, STEPS)
    assert len(ordinary.looked.recited) == 3
    let = train("let", learning_rate=0.02, **by_heart(None))
    assert let.looked
    assert (let.looked.stopped, let.looked.recited) == (None, []), "it was said to let it"


def test_one_that_recites_at_once_leaves_no_adapter(train: Train) -> None:
    with pytest.raises(Recites, match=r"by heart: at step 8 it recites .* of held-out ones .*; lower training\.epochs"):
        train("at once", samples=60, learning_rate=0.02, **by_heart(0.2))


def test_no_test_split_is_read_and_too_few_texts_are_not_compared(
    tiny: TinyModels, dataset: Path, tmp_path: Path
) -> None:
    (dataset / "test.parquet").unlink()
    tokenizer, parameters = causal.load_tokenizer(tiny.base), TrainingSettings()
    known = looks_at(dataset, tokenizer, "Ada", parameters, ["traina", "trainb", "trainc"])
    assert {each.own in OWN for each in known.questions} == {True}
    assert [each.trained for each in known.begun] == [True] * 3 + [False] * 3
    assert not looks_at(dataset, tokenizer, "Ada", parameters, ["traina", "trainb"]).begun


def test_looks_take_a_bounded_share_of_the_work_and_the_last_one_is_dropped_last() -> None:
    assert evaluations(13, 7) == [7, 13]
    assert evaluations(40, 10) == [10, 20, 30, 40]
    assert [spread([0, 10, 20, 30, 40], count) for count in (0, 1, 2, 3, 9)] == [
        (),
        (40,),
        (20, 40),
        (10, 30, 40),
        (0, 10, 20, 30, 40),
    ]
    look = Cost(read=120, texts=3, steps=20).on("cpu")
    for tokens in (1_000, 16_000, 1_000_000):
        assert affordable(look, 0.05, tokens) * look <= 0.05 * tokens
    assert affordable(look, 0.05, 16_000) == 2, "a training of the default length is shown midway and at its end"


def test_processes_that_share_the_base_do_not_write(tiny: TinyModels, tmp_path: Path) -> None:
    """Each would wait for the others."""
    tokenizer = causal.load_tokenizer(tiny.base)
    made = replace(task(tiny.base, tmp_path), looks=Looks(tokenizer, TrainingSettings()))
    shared = replace(made, parameters=made.parameters.model_copy(update={"shard": True}))
    seen, backend = Seen(), PeftBackend(Group(0, 2))
    assert backend._watch(None, shared, seen, lambda: None) is None
    assert "shared among processes" in seen.lines[0]
    assert backend._watch(None, made, seen, lambda: None)


def test_all_texts_so_far_are_told_after_each_look(train: Train) -> None:
    told: list[Sequence[Text]] = []
    train("told", tell=lambda texts: told.append(list(texts)), **TEXTS)
    assert [len(each) for each in told] == [2, 4, 6]
