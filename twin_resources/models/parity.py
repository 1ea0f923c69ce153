"""Whether two models say the same: an adapter as trained and as saved, a twin as it serves and as exported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twin_resources.models.causal import Encoded


@dataclass(frozen=True)
class Divergence:
    """How far next-token distributions of two models are apart: Kullback-Leibler divergence in nats.

    ``mean`` and ``largest`` are over ``positions`` tokens of answers.
    """

    positions: int
    mean: float
    largest: float

    def within(self, mean: float, largest: float) -> bool:
        """Whether both stay below; a divergence that is no number does not."""
        return self.mean <= mean and self.largest <= largest


def distributions(model: Any, samples: Sequence[Encoded]) -> list[Any]:
    """Log-probabilities of the next token at every position of each answer, float32 on the CPU; shape (answer tokens,
    vocabulary)."""
    import torch

    found = []
    with torch.inference_mode():
        for sample in samples:
            ids = torch.tensor([sample.ids], device=model.device)
            logits = model(input_ids=ids, use_cache=False).logits[0, sample.prompt_length - 1 : -1]
            found.append(torch.log_softmax(logits.float(), dim=-1).cpu())
    return found


def divergence(wanted: Sequence[Any], found: Sequence[Any]) -> Divergence:
    """How far ``found`` is from ``wanted``, both by :func:`distributions` of the same samples."""
    import torch

    every = torch.cat([(first.exp() * (first - second)).sum(-1) for first, second in zip(wanted, found, strict=True)])
    return Divergence(len(every), float(every.mean()), float(every.max()))
