"""A small general set: what a base can do that no author taught it, to see whether an adapter forgot it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import yaml

from twin_resources.text.identity import content_id
from twin_resources.text.words import grams, plain_words

_MOST_SHARED = 0.5
"""Of the runs of five words of an item that a sample may hold before it counts as holding the item."""


@dataclass(frozen=True)
class Item:
    """A plain answer to a ``question``, or an ordinary ``text`` by itself, before which nothing is asked."""

    question: str
    text: str


@functools.cache
def general_set() -> tuple[Item, ...]:
    """All items, questions first, in a fixed order."""
    found = yaml.safe_load((Path(__file__).parent / "general.yaml").read_text(encoding="utf-8"))
    asked = (Item(question, text) for question, text in found["questions"].items())
    return (*asked, *(Item("", text) for text in found["texts"]))


def general_id() -> str:
    """The content hash of the set: figures on another one do not compare."""
    return content_id("general", *(part for item in general_set() for part in (item.question, item.text)))


def is_held_by(instruction: str, answer: str) -> bool:
    """Whether a sample holds an item: whoever learned from it could not be measured on that any more."""
    asked, mine = tuple(plain_words(instruction)), grams(f"{instruction}\n{answer}")
    for question, runs in _known():
        if (question and question == asked) or (runs and len(runs & mine) >= _MOST_SHARED * len(runs)):
            return True
    return False


@functools.cache
def _known() -> tuple[tuple[tuple[str, ...], frozenset[int]], ...]:
    return tuple((tuple(plain_words(each.question)), grams(each.text)) for each in general_set())
