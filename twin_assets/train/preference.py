"""Direct preference optimisation: an adapter learns to prefer the chosen of two answers (Rafailov et al. 2023,
arXiv:2305.18290)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from twin_assets.dataset.generators.preference import PreferencePair
from twin_resources.models import causal
from twin_resources.models.causal import Encoded
from twin_resources.rag import prompt
from twin_resources.text.identity import bucket

_HELD_OUT = 10
"""One pair of so many is not learned from."""


@dataclass(frozen=True)
class EncodedPair:
    """Two answers to one prompt; ``reference`` is how many nats likelier the chosen one is to the model that training
    starts from."""

    chosen: Encoded
    rejected: Encoded
    reference: float = 0.0

    @property
    def ids(self) -> tuple[int, ...]:
        """Tokens of both, which are what a pair costs."""
        return self.chosen.ids + self.rejected.ids


@dataclass(frozen=True)
class SplitPairs:
    """Pairs to learn from and pairs to watch; ``too_long`` did not fit."""

    train: list[EncodedPair]
    validation: list[EncodedPair]
    too_long: int


def encode_pairs(tokenizer: Any, pairs: Iterable[PreferencePair], author: str, max_tokens: int) -> SplitPairs:
    """Pairs through the prompt that serves, whole or not at all; which are held out follows from their ids."""
    split = SplitPairs([], [], 0)
    too_long = 0
    for pair in pairs:
        turns = prompt.render(tokenizer, prompt.messages(pair.prompt, (), author=author))
        both = [causal.encode(tokenizer, turns, text, max_tokens, whole=True) for text in (pair.chosen, pair.rejected)]
        if both[0] is None or both[1] is None:
            too_long += 1
            continue
        held_out = bucket(pair.id, _HELD_OUT, digits=64) == 0
        (split.validation if held_out else split.train).append(EncodedPair(both[0], both[1]))
    if split.train and not split.validation:
        split.validation.append(split.train.pop())
    return replace(split, too_long=too_long)


@dataclass(frozen=True)
class PreferenceObjective:
    """What :class:`~twin_assets.train.backends.base.Objective` asks for, on :class:`EncodedPair`.

    The frozen reference is the model that training starts from. What it makes of the pairs is computed once before, so
    that memory holds one model and not two.
    """

    beta: float

    def prepared(self, model: Any, samples: Sequence[EncodedPair], pad_id: int) -> list[EncodedPair]:
        """The pairs with their reference."""
        import torch

        found = []
        with torch.inference_mode():
            for pair in samples:
                batch = {name: each.to(model.device) for name, each in self.collate([pair], pad_id).items()}
                found.append(replace(pair, reference=float(_margins(model, batch)[0])))
        return found

    def collate(self, batch: Sequence[EncodedPair], pad_id: int) -> dict[str, Any]:
        """All chosen answers above all rejected ones; shape (2 x pairs, longest)."""
        import torch

        rows = causal.collate([*(each.chosen for each in batch), *(each.rejected for each in batch)], pad_id)
        return {**rows, "reference": torch.tensor([each.reference for each in batch])}

    def loss(self, model: Any, batch: Any) -> tuple[Any, int]:
        """The summed loss of the pairs and their number: minus the logarithm of the probability that the model, held
        against its reference, prefers the chosen answer."""
        import torch

        gained = _margins(model, batch) - batch["reference"]
        return -torch.nn.functional.logsigmoid(self.beta * gained).sum(), len(gained)


def _margins(model: Any, batch: Any) -> Any:
    """How many nats likelier each chosen answer is than the rejected one; shape (pairs)."""
    chosen, rejected = causal.answer_log_probabilities(model, batch).chunk(2)
    return chosen - rejected
