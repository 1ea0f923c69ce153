"""What an instruct dataset is made of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from twin_assets.dataset.splits import Split
from twin_resources.text.identity import content_id

CODE_VERSION = "6"
QUESTION = "question"
"""The kind of sample whose answer may be in a model's words; of all others it is the author's own text."""
CITED = "cited"
"""A question that sentences of one passage answer word for word, until they stand among other passages."""
SUMMARY = "summarise"
CODE = "code"
WHOLE = (SUMMARY, CODE)
"""Kinds that are learned from whole or not at all, in the room of those with passages: half a summary or half of a
program teaches neither."""


@dataclass(frozen=True)
class SamplePassage:
    """A passage that a sample may answer from."""

    title: str
    text: str
    chunk_id: str


@dataclass(frozen=True)
class Turn:
    """An earlier turn of a conversation: what was asked, what was answered, and the sample that both are from."""

    instruction: str
    answer: str
    sample_id: str


@dataclass(frozen=True)
class InstructSample:
    """One instruct sample; ``chunk_ids`` are the passages it was made of, that of its answer (or question) first, and
    ``reviewed_by`` names who edited its answer, if anybody did, and ``generated_id`` is the sample that it was then.
    ``history`` are the turns it goes on from, the first one first, and ``paraphrase_of`` names the sample that it
    repeats with its instruction in other words."""

    id: str
    split: Split
    category: str
    kind: str
    instruction: str
    answer: str
    passages: tuple[SamplePassage, ...]
    document_id: str
    url: str
    chunk_ids: tuple[str, ...]
    reviewed_by: str = ""
    generated_id: str = ""
    history: tuple[Turn, ...] = ()
    paraphrase_of: str = ""


@dataclass
class InstructDataset:
    """All samples, what was dropped by reason, and how many passages and candidates there were before."""

    author_id: str
    samples: list[InstructSample]
    dropped: Counter[str] = field(default_factory=Counter)
    passages: int = 0
    candidates: int = 0

    def split(self, name: Split) -> list[InstructSample]:
        """Samples of one split, in order."""
        return [sample for sample in self.samples if sample.split == name]

    @property
    def id(self) -> str:
        """Content hash of the samples and of the code that made them."""
        return content_id(
            "instruct",
            CODE_VERSION,
            self.author_id,
            *(part for sample in self.samples for part in _identity(sample)),
        )


def _identity(sample: InstructSample) -> tuple[str, ...]:
    return (sample.id, sample.split, sample.paraphrase_of, *(turn.sample_id for turn in sample.history))
