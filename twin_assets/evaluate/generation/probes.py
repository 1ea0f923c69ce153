"""What the base and the candidate are put to beside the author's held-out text, and what comes of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster_pipes import PipesContext

from twin_assets.dataset.files import stream_samples
from twin_assets.evaluate import metrics
from twin_assets.evaluate.generation import exposure, following, forgetting, memorisation
from twin_assets.train.card import learned_by
from twin_assets.train.looks import reciting
from twin_resources.suite.instructions import Instruction


@dataclass(frozen=True)
class Found:
    """What one model made of :class:`Probes`: how it went on with texts, bits a byte of the general set, and replies to
    instructions; and where it ranks canaries."""

    went_on: Sequence[str]
    bits: Sequence[float]
    replies: Sequence[following.Reply]
    ranks: Sequence[int]


@dataclass(frozen=True)
class Probes:
    """Texts to go on with, the general set, and instructions, which are given to the twin of ``author``."""

    tokenizer: Any
    author: str
    begun: Sequence[reciting.Beginning]
    general: Sequence[forgetting.Read]
    instructions: Sequence[Instruction]
    canaries: Sequence[exposure.Planted]

    def __str__(self) -> str:
        return (
            f"{len(self.begun)} beginnings of texts, {len(self.general)} general questions and texts, and "
            f"{len(self.instructions)} instructions"
        )

    @classmethod
    def of(cls, context: PipesContext, tokenizer: Any, instructions: int) -> Probes:
        """Those for the candidate of a job, with so many instructions."""
        extra = context.get_extra
        learned = set(learned_by(Path(extra("adapters")[extra("candidate")])))
        return cls(
            tokenizer,
            extra("author_name"),
            _begun(context, tokenizer, learned),
            forgetting.read(tokenizer),
            following.chosen(instructions),
            exposure.planted(tokenizer, learned, extra("author_name")),
        )

    def put_to(self, model: Any) -> Found:
        """Have a model answer; an adapter is merged before, else it takes four times as long on a CPU."""
        return Found(
            went_on=reciting.gone_on(model, self.tokenizer, self.begun),
            bits=forgetting.bits_per_byte(model, self.general, self.tokenizer.pad_token_id),
            replies=following.replies(model, self.tokenizer, self.instructions, self.author),
            ranks=exposure.ranks(model, self.canaries, self.tokenizer.pad_token_id),
        )

    def figures(self, base: Found, mine: Found, candidate: str) -> dict[str, Any]:
        """The figures of the report, by measure."""
        models = {"base": base, candidate: mine}
        return {
            "memorisation": memorisation.figures(
                self.begun, {name: each.went_on for name, each in models.items()}, candidate
            ),
            "forgetting": forgetting.figures(
                self.general, {name: each.bits for name, each in models.items()}, candidate
            ),
            "following": following.figures(
                self.instructions, {name: each.replies for name, each in models.items()}, candidate
            ),
            "canaries": exposure.figures(self.canaries, mine.ranks),
        }


def _begun(context: PipesContext, tokenizer: Any, learned: Collection[str]) -> list[reciting.Beginning]:
    """The beginnings of texts that the candidate learned from and of held-out ones; none where there are too few."""
    extra = context.get_extra
    folder = Path(extra("dataset_folder"))
    splits = {
        True: (each for each in stream_samples(folder / "train.parquet") if each.id in learned),
        False: stream_samples(folder / "test.parquet"),
    }
    limits = (extra("author_name"), extra("max_sample_tokens"))
    sides = [reciting.beginnings(tokenizer, samples, *limits, trained=trained) for trained, samples in splits.items()]
    if min(map(len, sides)) < metrics.FEWEST_DOCUMENTS:
        return []
    return [each for side in sides for each in side]
