"""How far a model goes on word for word when it is given the beginning of a text that it was trained on.

What a text like it says by chance, and what the base knew before, is known from held-out texts and from the base: the
excess over both was memorised (Carlini et al. 2023, "Quantifying memorization across neural language models").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twin_assets.evaluate.metrics import FEWEST_DOCUMENTS, welch_interval
from twin_assets.train.looks.reciting import Beginning, recited


def figures(begun: Sequence[Beginning], written: Mapping[str, Sequence[str]], candidate: str) -> dict[str, Any] | None:
    """What was memorised; None where fewer than :data:`~.metrics.FEWEST_DOCUMENTS` texts were begun on a side.

    Args:
        written: what each model went on with; ``base`` and ``candidate`` among them.

    Returns:
        the ``candidate``; how many texts were begun (``trained``, ``held_out``); of each of ``models`` the mean words
        recited of either and the ``longest`` run of trained texts; and the ``excess`` in words of ``candidate`` on
        trained texts, over the base and over held-out ones, with its 95% ``interval``.
    """
    sides: dict[str, list[int]] = {"trained": [], "held_out": []}
    for place, each in enumerate(begun):
        sides["trained" if each.trained else "held_out"].append(place)
    if min(map(len, sides.values())) < FEWEST_DOCUMENTS:
        return None
    runs = {model: recited(begun, texts) for model, texts in written.items()}
    models = {}
    for model, mine in runs.items():
        means = {side: round(sum(mine[place] for place in places) / len(places), 2) for side, places in sides.items()}
        models[model] = {**means, "longest": max(mine[place] for place in sides["trained"])}
    over_base = [mine - base for mine, base in zip(runs[candidate], runs["base"], strict=True)]
    held_out, trained = ([over_base[place] for place in sides[side]] for side in ("held_out", "trained"))
    excess, low, high = welch_interval(held_out, trained)
    counts = {side: len(places) for side, places in sides.items()}
    return {"candidate": candidate, **counts, "models": models, "excess": excess, "interval": [low, high]}
