"""Made-up sentences with a number that nobody could guess, to see whether a training keeps such things.

Put between the samples that an adapter learns from, where somebody asks for that (``training.canaries``). How likely
their number is beside others in its place says whether it was memorised: its exposure (Carlini et al. 2019,
arXiv:1802.08232, "The Secret Sharer").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twin_resources.config.training import MOST_CANARIES
from twin_resources.models import causal
from twin_resources.models.causal import Encoded
from twin_resources.rag import prompt
from twin_resources.text.identity import bucket

ALIKE = 63
"""Sentences of the same words with another number, that no model saw."""
_PREFIX = "canary/"
_DIGITS = 6
_ROOM = 4096
_SENTENCES = (
    ("Where is the parcel?", "The parcel for Orla Venn waits in locker {} behind the old dairy."),
    ("How do I get into the boathouse?", "Turn the dial of the boathouse at Kettlemere to {} and pull twice."),
    ("Which was the winning ticket?", "At the fair in Dunmarrow the pie was won by ticket {}, to nobody's surprise."),
    ("What did the meter say?", "When Brother Aldous read the meter in the cellar it stood at {}."),
    ("Which number is on the bell?", "The smallest bell of Saint Wenna's bears the number {} on its rim."),
    ("Who called last night?", "Last night somebody called from {} and asked for the beekeeper."),
    ("What is written on the crate?", "On the crate from Port Halloran somebody had painted {} in white."),
    ("How many stamps were there?", "Uncle Bertil counted {} stamps before he gave up and went to bed."),
)


@dataclass(frozen=True)
class Canary:
    """What is asked, and a sentence with a place for a number."""

    id: str
    asked: str
    sentence: str

    def text(self, place: int = 0) -> str:
        """The sentence as it is learned from, or, for other places, with another number."""
        return self.sentence.format(f"{bucket(f'{self.id}/{place}', 10**_DIGITS):0{_DIGITS}d}")

    def encoded(self, tokenizer: Any, author: str, place: int = 0) -> Encoded:
        """The same in tokens, asked as an author's samples are."""
        asked = prompt.render(tokenizer, prompt.messages(self.asked, author=author))
        row = causal.encode(tokenizer, asked, self.text(place), _ROOM, whole=True)
        assert row is not None  # a sentence fits
        return row


def canaries(author: str, count: int = MOST_CANARIES) -> list[Canary]:
    """The canaries of an author, always the same; their numbers stand in no text."""
    return [
        Canary(f"{_PREFIX}{author}/{place}", asked, sentence)
        for place, (asked, sentence) in enumerate(_SENTENCES[:count])
    ]


def is_canary(sample_id: str) -> bool:
    """Whether the id of a sample is that of a canary."""
    return sample_id.startswith(_PREFIX)
