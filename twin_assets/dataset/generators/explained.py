"""Code that its author explains: which passages show it, and what it is for."""

from __future__ import annotations

import re

from twin_resources.storage.chunk_store import Chunk
from twin_resources.text.units import Unit, units

_FENCE = re.compile(r"^ {0,3}(?:`{3,}|~{3,})", re.M)
_FEWEST_WORDS = 12
"""Words of prose around the code at least."""
_FEWEST_SIGNS = 12
"""Letters and digits of the code at least."""
_SENTENCE = range(3, 31)
"""Words of a sentence that says what the code is for."""


def code_for(chunk: Chunk, text: str, *, starts_section: bool) -> str:
    """What the code in a passage is for, by the heading over it or the sentence before it; empty where the passage
    shows none, breaks off inside it, or says too little about it.

    Args:
        text: the passage in the author's own words.
    """
    found = units(text)
    first = next((place for place, unit in enumerate(found) if _is_code(unit, text)), None)
    prose = [text[unit.start : unit.end] for unit in found if unit.kind in ("sentence", "item")]
    if first is None or len(_FENCE.findall(text)) % 2 or sum(len(each.split()) for each in prose) < _FEWEST_WORDS:
        return ""
    before = found[first - 1] if first else None
    if starts_section and chunk.heading:
        return _about(chunk.heading[-1])
    about = _about(text[before.start : before.end]) if before and before.kind == "sentence" else ""
    return about if len(about.split()) in _SENTENCE or not about.isascii() else ""


def _is_code(unit: Unit, text: str) -> bool:
    shown = text[unit.start : unit.end]
    return unit.kind == "code" and bool(_FENCE.match(shown)) and sum(each.isalnum() for each in shown) >= _FEWEST_SIGNS


def _about(text: str) -> str:
    return " ".join(text.split()).strip("#*_ ").rstrip(":：").rstrip()
