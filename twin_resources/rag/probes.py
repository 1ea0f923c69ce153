"""Questions that adapters are compared on: ours, so that nothing of an author stands in a record of them."""

from __future__ import annotations

from typing import Any

from twin_resources.models import causal
from twin_resources.models.causal import Encoded
from twin_resources.rag import prompt

_PASSAGE = prompt.Passage(
    1, "Tides", "The gauge at the pier writes one reading every six minutes. Readings that look wrong stay in the log."
)
_PROBES = (
    ("What do you write about, and why?", (), "I write about what I build, because writing shows where I was wrong."),
    ("How often does the gauge write?", (_PASSAGE,), "The gauge at the pier writes one reading every six minutes. [1]"),
    ("Begin a post about a mistake.", (), "Last winter I deleted the wrong table.\n\nNobody noticed for a week."),
)
_MOST_TOKENS = 2048


def encoded(tokenizer: Any, author: str) -> list[Encoded]:
    """The probes as a tokenizer reads them, through the prompt that serves."""
    found = []
    for question, passages, answer in _PROBES:
        turns = prompt.render(tokenizer, prompt.messages(question, passages, author=author))
        sample = causal.encode(tokenizer, turns, answer, _MOST_TOKENS, whole=True)
        if sample:
            found.append(sample)
    return found
