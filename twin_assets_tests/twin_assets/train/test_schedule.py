"""In which order samples are learned from, and which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from twin_assets.dataset.files import write_instruct
from twin_assets.dataset.samples import InstructDataset
from twin_assets.train.backends.base import TrainingTask
from twin_assets.train.backends.loop import training_arguments
from twin_assets.train.job import EncodedDataset
from twin_assets.train.schedule import Chosen, watched, with_all, within_budget
from twin_assets_tests.support.rows import sample
from twin_assets_tests.support.tiny_models import TinyModels
from twin_resources.config.training import TrainingSettings
from twin_resources.models import causal
from twin_resources.models.causal import Encoded
from twin_resources.suite.canaries import canaries, is_canary


def samples(*lengths: int) -> list[Encoded]:
    return [Encoded(tuple(range(length)), length // 2) for length in lengths]


def parameters(**changes: Any) -> TrainingSettings:
    return TrainingSettings(**{"batch_size": 2, "token_budget": None, **changes})


def test_every_sample_is_seen_once_an_epoch_in_an_order_that_repeats() -> None:
    given = samples(*range(10, 50))
    order = list(within_budget(given, parameters(epochs=2)))
    assert sorted(len(sample.ids) for sample in order) == sorted([*range(10, 50), *range(10, 50)])
    assert order == list(within_budget(given, parameters(epochs=2)))
    assert order != list(within_budget(given, parameters(epochs=2, seed=7)))


def test_the_token_budget_is_kept_and_batches_hold_similar_lengths() -> None:
    order = within_budget(samples(*([10] * 50 + [100] * 50)), parameters(token_budget=1500))
    assert 1300 < sum(len(sample.ids) for sample in order) <= 1500
    mixed = sum(len(order[i].ids) != len(order[i + 1].ids) for i in range(0, len(order) - 1, 2))
    assert mixed <= 3, "shuffled alone, about half of the batches would be mixed"


def test_a_short_training_watches_few_samples_and_never_more_for_other_hyper_parameters() -> None:
    train, validation = samples(*([100] * 400)), samples(*range(51, 151))
    short = watched(validation, train, parameters(token_budget=10_000))
    assert 0.08 * 10_000 < sum(len(sample.ids) for sample in short) < 0.12 * 10_000
    lengths = [len(sample.ids) for sample in short]
    assert min(lengths) < 65 < 135 < max(lengths), "they are taken from everywhere, and not from the beginning"
    assert short == watched(validation, train, parameters(token_budget=10_000, epochs=7, batch_size=9))
    assert len(watched(validation, train, parameters(token_budget=500))) == 6
    assert len(watched(validation, train, parameters())) == 24
    assert watched((), train, parameters()) == []
    assert watched(validation[:3], train, parameters()) == validation[:3]


@pytest.mark.parametrize("count", [2, 16, 200])
def test_every_step_learns_something(count: int, tmp_path: Path) -> None:
    import torch
    import transformers

    settings = parameters(gradient_accumulation=4)
    task = TrainingTask(tmp_path, "float32", samples(*[10] * count), (), settings, tmp_path, 0)
    arguments = training_arguments(task)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = transformers.get_scheduler(
        arguments.lr_scheduler_type, optimizer, arguments.get_warmup_steps(arguments.max_steps), arguments.max_steps
    )
    rates = []
    for _ in range(arguments.max_steps):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert max(rates) > 0.9
    assert len(rates) > 20 or min(rates) > 0, "no step of a short training is wasted"


def test_a_training_names_the_samples_that_it_gets_to_and_no_others(tiny: TinyModels, tmp_path: Path) -> None:
    given = [sample("Say it.", f"It is {number}. " * 9, id=f"s{number}") for number in range(20)]
    write_instruct(tmp_path, InstructDataset("ada", [*given, sample("Say it.", "No.", id="held", split="validation")]))
    settings = parameters(token_budget=600, gradient_accumulation=1)
    tokenizer = causal.load_tokenizer(tiny.base)
    dataset = EncodedDataset.read(tmp_path, tokenizer, "Ada Berg", settings, print)
    task = dataset.task(tiny.base, "float32", settings, tmp_path)
    texts = {tokenizer.decode(each.ids[each.prompt_length : -1]).strip() for each in task.train}
    assert {each.id for each in given if each.answer.strip() in texts} == set(task.learned)
    assert 0 < len(task.learned) < len(given)
    whole = dataset.task(tiny.base, "float32", parameters(gradient_accumulation=1), tmp_path)
    assert list(whole.learned) == sorted(each.id for each in given)


def test_canaries_are_learned_from_whatever_the_budget_and_change_no_number_of_steps(
    tiny: TinyModels, tmp_path: Path
) -> None:
    given = [sample("Say it.", f"It is {number}. " * 9, id=f"s{number}") for number in range(20)]
    write_instruct(tmp_path, InstructDataset("ada", [*given, sample("Say it.", "No.", id="held", split="validation")]))
    tokenizer = causal.load_tokenizer(tiny.base)

    def learned(count: int) -> tuple[int, list[str]]:
        settings = parameters(token_budget=900, gradient_accumulation=1, canaries=count)
        dataset = EncodedDataset.read(tmp_path, tokenizer, "Ada Berg", settings, print)
        task = dataset.task(tiny.base, "float32", settings, tmp_path)
        texts = {tokenizer.decode(each.ids[each.prompt_length : -1]).strip() for each in task.train}
        told = [each.id for each in canaries("Ada Berg") if each.text() in texts]
        assert told == [each for each in task.learned if is_canary(each)] == list(task.learned[: len(told)])
        return len(task.train), told

    without, none = learned(0)
    many, two = learned(2)
    assert (none, two) == ([], [each.id for each in canaries("Ada Berg", 2)])
    assert abs(many - without) <= 2
    order = Chosen(samples(*[10] * 12), [3, 1, 2, 0, 4, 5, 6, 7])
    mixed = with_all(order, [1, 9, 10, 11])
    assert len(mixed) == len(order)
    assert {1, 9, 10} <= mixed.distinct, "a quarter at most are put in the place of others"
    assert 11 not in mixed.distinct
