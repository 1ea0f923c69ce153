"""Direct preference optimisation: an adapter learns to prefer the chosen of two answers (Rafailov et al. 2023,
arXiv:2305.18290)."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

from twin_assets.dataset.generators.preference import PreferencePair
from twin_resources.models import causal
from twin_resources.models.causal import Encoded, Side
from twin_resources.models.token_file import TokenFile
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


class PairFile(Sequence[EncodedPair]):
    """Pairs in the order they were added in, with reference 0; their tokens lie in a file."""

    def __init__(self) -> None:
        self._answers = TokenFile()

    def add(self, chosen: Encoded, rejected: Encoded) -> None:
        """Append a pair."""
        self._answers.add(chosen)
        self._answers.add(rejected)

    def __len__(self) -> int:
        return len(self._answers) // 2

    @overload
    def __getitem__(self, place: int) -> EncodedPair: ...

    @overload
    def __getitem__(self, place: slice) -> list[EncodedPair]: ...

    def __getitem__(self, place: int | slice) -> EncodedPair | list[EncodedPair]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        first = 2 * range(len(self))[place]
        return EncodedPair(self._answers[first], self._answers[first + 1])


class Referred(Sequence[EncodedPair]):
    """Pairs with their references, which are eight bytes each in memory."""

    def __init__(self, pairs: Sequence[EncodedPair], references: Sequence[float]) -> None:
        self._pairs, self._references = pairs, references

    def __len__(self) -> int:
        return len(self._references)

    @overload
    def __getitem__(self, place: int) -> EncodedPair: ...

    @overload
    def __getitem__(self, place: slice) -> Referred: ...

    def __getitem__(self, place: int | slice) -> EncodedPair | Referred:
        if isinstance(place, slice):
            return Referred(self._pairs[place], self._references[place])
        return replace(self._pairs[place], reference=self._references[place])


@dataclass(frozen=True)
class SplitPairs:
    """Pairs to learn from and pairs to watch; ``too_long`` did not fit."""

    train: Sequence[EncodedPair]
    validation: Sequence[EncodedPair]
    too_long: int


def encode_pairs(tokenizer: Any, pairs: Iterable[PreferencePair], author: str, max_tokens: int) -> SplitPairs:
    """Pairs through the prompt that serves, in full or not at all; which are held out follows from their ids.

    Where one of the two texts was cut, neither ends with the end-of-sequence token: its author went on, and a model
    that learned the end would stop early.
    """
    train, validation = PairFile(), PairFile()
    too_long = 0
    for pair in pairs:
        turns = prompt.render(tokenizer, prompt.messages(pair.prompt, (), author=author))
        chosen, rejected = (
            causal.encode(tokenizer, turns, text, max_tokens, whole=True, ends=pair.whole)
            for text in (pair.chosen, pair.rejected)
        )
        if chosen is None or rejected is None:
            too_long += 1
            continue
        held_out = bucket(pair.id, _HELD_OUT, digits=64) == 0
        (validation if held_out else train).add(chosen, rejected)
    if train and not validation:
        return SplitPairs(train[:-1], train[-1:], too_long)
    return SplitPairs(train, validation, too_long)


@dataclass(frozen=True)
class PreferenceObjective:
    """What :class:`~twin_assets.train.backends.base.Objective` asks for, on :class:`EncodedPair`.

    The frozen reference is the model that training starts from. What it makes of the pairs is computed once before, so
    that memory holds one model and not two.
    """

    beta: float

    def prepared(self, model: Any, samples: Sequence[EncodedPair], pad_id: int, *, side: Side = "left") -> Referred:
        """The pairs with their reference, which is computed once for a pair that several epochs read."""
        import torch

        known: dict[int, float] = {}
        references = array("d")
        with torch.no_grad():  # not inference mode, see causal.keeps_samples_apart
            for pair in samples:
                key = hash(pair)
                if key not in known:
                    rows = self.collate([pair], pad_id, side=side)
                    batch = {name: each.to(model.device) for name, each in rows.items()}
                    known[key] = float(_margins(model, batch)[0])
                references.append(known[key])
        return Referred(samples, references)

    def collate(self, batch: Sequence[EncodedPair], pad_id: int, *, side: Side = "left") -> dict[str, Any]:
        """All chosen answers above all rejected ones; shape (2 x pairs, longest)."""
        import torch

        answers = [*(each.chosen for each in batch), *(each.rejected for each in batch)]
        rows = causal.collate(answers, pad_id, side=side)
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
