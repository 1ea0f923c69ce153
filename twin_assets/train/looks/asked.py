"""What an adapter is asked while it is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twin_assets.dataset.files import stream_samples
from twin_assets.dataset.samples import InstructSample
from twin_assets.train.looks import reciting
from twin_assets.train.looks.plan import Cost
from twin_assets.train.looks.reciting import Beginning, beginnings, chosen
from twin_assets.train.looks.record import Text
from twin_resources.config.training import TrainingSettings
from twin_resources.models import causal
from twin_resources.rag import prompt

FEWEST_TEXTS = 3
"""Of either kind, or what is recited is not compared."""
_ENOUGH_WORDS = 12
_SHOWN = 160


@dataclass(frozen=True)
class Question:
    """A held-out question as the twin is asked it: its ``ids``, its words, and how the author's own answer begins."""

    ids: tuple[int, ...]
    text: str
    own: str


def _nobody(texts: Sequence[Text]) -> None:
    pass


@dataclass(frozen=True)
class Looks:
    """What is asked, and what is made of it.

    Args:
        parameters: how much is asked, and what ends a training.
        questions: whose answers people read.
        begun: texts that are gone on with, trained on and held out.
        tell: is given all texts so far after each look.
    """

    tokenizer: Any
    parameters: TrainingSettings
    questions: Sequence[Question] = ()
    begun: Sequence[Beginning] = ()
    tell: Callable[[Sequence[Text]], None] = _nobody

    @property
    def cost_of_texts(self) -> Cost:
        """Of one look at what it writes."""
        read = sum(len(each.ids) for each in self.questions)
        return Cost(read, len(self.questions), self.parameters.sample_texts.tokens)

    @property
    def cost_of_reciting(self) -> Cost:
        """Of one look at what it recites."""
        return Cost(sum(len(each.ids) for each in self.begun), len(self.begun), reciting.TOKENS)


def looks_at(folder: Path, tokenizer: Any, author: str, parameters: TrainingSettings, learned: Iterable[str]) -> Looks:
    """What a training on the dataset in ``folder`` is asked; its test split is not read.

    Args:
        author: their name.
        learned: ids of samples that are learned from.
    """
    held_out = folder / "validation.parquet"
    if not held_out.exists():  # of a preference adapter: its start's dataset may have been forgotten since
        return Looks(tokenizer, parameters)
    questions = _questions(tokenizer, stream_samples(held_out), author, parameters)
    begun: list[Beginning] = []
    if parameters.reciting.stop_above is not None:
        known, limits = set(learned), (author, parameters.max_sample_tokens)
        trained = (each for each in stream_samples(folder / "train.parquet") if each.id in known)
        sides = [
            beginnings(tokenizer, rows, *limits, trained=mine, limit=parameters.reciting.texts)
            for mine, rows in ((True, trained), (False, stream_samples(held_out)))
        ]
        begun = [each for side in sides for each in side] if min(map(len, sides)) >= FEWEST_TEXTS else []
    return Looks(tokenizer, parameters, questions, begun)


def _questions(
    tokenizer: Any, samples: Iterable[InstructSample], author: str, parameters: TrainingSettings
) -> list[Question]:
    wanted = parameters.sample_texts
    if not wanted.prompts:
        return []
    found = []
    for each in chosen(samples, wanted.prompts, least_words=_ENOUGH_WORDS):
        asked = prompt.render(tokenizer, prompt.messages(each.instruction, (), author=author))
        encoded = causal.encode(tokenizer, asked, each.answer, parameters.max_sample_tokens)
        if encoded is None:
            continue
        own = encoded.ids[encoded.prompt_length : encoded.prompt_length + wanted.tokens]
        told = " ".join(each.instruction.split())[:_SHOWN]
        prompted = encoded.ids[: encoded.prompt_length]
        found.append(Question(prompted, told, tokenizer.decode(own, skip_special_tokens=True)))
    return found
