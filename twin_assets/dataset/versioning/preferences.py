"""What a version of a preference dataset says of itself: its card, its steps, and the passages its pairs came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from twin_assets.dataset.generators.preference import PreferencePair
from twin_assets.dataset.versioning.card import Card
from twin_resources.storage.datasets import Member

_SHOWN = 3


def card(
    name: str, version: str, pairs: Sequence[PreferencePair], dropped: Mapping[str, int], made_by: Mapping[str, Any]
) -> Card:
    """The card, with how many rejected answers came from where."""
    origins = Counter(pair.rejected_from for pair in pairs)
    said = {f"rejected from {origin}": count for origin, count in sorted(origins.items())}
    by = sorted({pair.rejected_by for pair in pairs if pair.rejected_by})
    shown = [f"> **{' '.join(pair.prompt.split())}**\n>\n> {pair.chosen}" for pair in pairs[:_SHOWN]]
    return Card(
        f"Preference dataset of {name}",
        "Pairs from readers' corrections of the twin's answers, and, where a model was asked, of the author's own text "
        "with what the model answered to the same prompt.",
        {
            "author": name,
            "version": version,
            "pairs": len(pairs),
            **said,
            **({"models": ", ".join(by)} if by else {}),
            "code version": made_by["code"],
        },
        {"train": "pairs.parquet"},
        len(pairs),
        dropped,
        shown or ["Nobody has corrected an answer yet, and no model was asked for one."],
    )


def steps(asked: int, pairs: Sequence[PreferencePair], dropped: Mapping[str, int]) -> dict[str, float]:
    """How many there were at each step: prompts put to models, what was left out by reason, pairs by origin."""
    left = {f"− {reason}": float(count) for reason, count in Counter(dropped).most_common()}
    origins = Counter(pair.rejected_from for pair in pairs)
    return {"prompts": float(asked), **left, **{f"pairs, {key}": float(count) for key, count in origins.items()}}


def members(pairs: Iterable[PreferencePair]) -> Iterator[Member]:
    """The passage that each pair without a reader was made of."""
    for pair in pairs:
        if pair.document_id:
            yield Member(pair.id, pair.chunk_id, pair.document_id, pair.url, "train")
