"""What an adapter forgot of what its base can: how well both predict a general set that no author wrote.

Fine-tuning on one author's texts may take from a model what it knew before (McCloskey and Cohen 1989, "Catastrophic
interference in connectionist networks").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twin_assets.evaluate.metrics import mean_interval
from twin_resources.models import causal
from twin_resources.models.causal import Encoded
from twin_resources.rag import prompt
from twin_resources.suite.general import Item, general_set

_AT_ONCE = 8
"""Items of like length that are read side by side."""
_ROOM = 4096
"""Tokens of an item, more than any has."""
_SHOWN = 5
QUESTIONS, TEXTS = "questions", "texts"


@dataclass(frozen=True)
class Read:
    """An item in tokens; ``size`` is that of its text in bytes."""

    item: Item
    row: Encoded
    size: int


def read(tokenizer: Any) -> list[Read]:
    """The general set as a model sees it: questions are put in nobody's name, texts stand by themselves."""
    found = []
    for item in general_set():
        if item.question:
            asked = prompt.render(tokenizer, prompt.messages(item.question))
            row = causal.encode(tokenizer, asked, item.text, _ROOM, whole=True, ends=False)
        else:
            begins = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
            row = Encoded((*begins, *causal.text_ids(tokenizer, item.text)), 1)
        if row is not None:
            found.append(Read(item, row, len(item.text.encode())))
    return found


def bits_per_byte(model: Any, items: Sequence[Read], pad_id: int) -> list[float]:
    """What a byte of each item costs a model, so that items and tokenizers compare."""
    order = sorted(range(len(items)), key=lambda place: len(items[place].row.ids))
    losses = causal.losses(model, [items[place].row for place in order], pad_id, at_once=_AT_ONCE)
    found = {place: loss / math.log(2) / items[place].size for place, (loss, _) in zip(order, losses, strict=True)}
    return [found[place] for place in range(len(items))]


def figures(items: Sequence[Read], measured: Mapping[str, Sequence[float]], candidate: str) -> dict[str, Any]:
    """What was forgotten; each item counts as one.

    Args:
        measured: bits a byte of each item, of each model; ``base`` and ``candidate`` among them.

    Returns:
        how many ``items`` there are, mean ``bits_per_byte`` of each model, over all and by kind; by how much those of
        ``candidate`` lie above the base's, as a share of these (``rise``), with the 95% ``interval`` of that over
        items, paired; and the items that rose ``most``.
    """
    kinds = [QUESTIONS if each.item.question else TEXTS for each in items]
    base, mine = measured["base"], measured[candidate]
    whole = sum(base) / len(base)
    rise, low, high = (
        round(each / whole, 4) for each in mean_interval([its - was for was, its in zip(base, mine, strict=True)])
    )
    most = sorted(range(len(items)), key=lambda place: base[place] - mine[place])[:_SHOWN]
    return {
        "candidate": candidate,
        "items": len(items),
        "bits_per_byte": {model: _means(bits, kinds) for model, bits in measured.items()},
        "rise": rise,
        "interval": [low, high],
        "most": [
            {
                "item": items[place].item.question or items[place].item.text,
                "base": round(base[place], 3),
                "candidate": round(mine[place], 3),
            }
            for place in most
        ],
    }


def _means(bits: Sequence[float], kinds: Sequence[str]) -> dict[str, float]:
    """The mean over all items, and over those of each kind."""
    parts = {"all": list(bits)}
    for value, kind in zip(bits, kinds, strict=True):
        parts.setdefault(kind, []).append(value)
    return {name: round(sum(part) / len(part), 4) for name, part in parts.items()}
