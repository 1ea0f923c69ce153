"""Figures of language models, without torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

_NORMAL = 1.959964
"""The 97.5th percentile of the standard normal distribution."""
FEWEST_DOCUMENTS = 3
"""Two documents say nothing of how documents differ that an interval could rest on."""


def mean_loss(losses: Sequence[tuple[float, int]]) -> float:
    """Mean cross-entropy a token, from (summed loss, tokens) of each sample."""
    tokens = sum(count for _, count in losses)
    return sum(loss for loss, _ in losses) / tokens if tokens else 0.0


def gain_interval(
    before: Sequence[tuple[float, int]], after: Sequence[tuple[float, int]], documents: Sequence[str]
) -> tuple[float, float]:
    """95% interval of the relative fall in loss on documents like these, of which no training saw one.

    Answers of one document rise and fall together, so it is whole documents that vary: the jackknife leaves out one
    after the other (Tukey 1958; Efron and Stein 1981), and Student's t makes the interval as wide as few documents ask
    for. With fewer than :data:`FEWEST_DOCUMENTS` nothing is known, which is an interval from -1 to 1.

    Args:
        before, after: (summed loss, tokens) of each answer.
        documents: that of each answer.
    """
    from scipy.stats import t as student

    keys = list(dict.fromkeys(documents))
    if len(keys) < FEWEST_DOCUMENTS:
        return -1.0, 1.0
    place = {key: index for index, key in enumerate(keys)}
    sums = [[0.0, 0.0] for _ in keys]
    for (old, _), (new, _), key in zip(before, after, documents, strict=True):
        sums[place[key]][0] += old
        sums[place[key]][1] += new
    olds, news = (sum(each[side] for each in sums) for side in (0, 1))
    without = [1 - (news - new) / (olds - old) for old, new in sums if olds > old]
    if len(without) < FEWEST_DOCUMENTS:
        return -1.0, 1.0
    count, middle = len(without), sum(without) / len(without)
    error = math.sqrt((count - 1) / count * sum((each - middle) ** 2 for each in without))
    gain, width = 1 - news / olds, float(student.ppf(0.975, count - 1)) * error
    return round(max(-1.0, gain - width), 4), round(min(1.0, gain + width), 4)


def welch_interval(before: Sequence[float], after: Sequence[float]) -> tuple[float, float, float]:
    """By how much the mean of ``after`` lies above that of ``before``, with the 95% interval of that (Welch 1947): the
    two may vary unlike. Each has two values or more."""
    from scipy.stats import t as student

    means = [sum(each) / len(each) for each in (before, after)]
    spreads = [
        sum((value - mean) ** 2 for value in each) / (len(each) - 1) / len(each)
        for each, mean in zip((before, after), means, strict=True)
    ]
    difference, total = means[1] - means[0], sum(spreads)
    width = 0.0
    if total:
        parts = (spread**2 / (len(each) - 1) for spread, each in zip(spreads, (before, after), strict=True))
        width = float(student.ppf(0.975, total**2 / sum(parts))) * math.sqrt(total)
    return round(difference, 4), round(difference - width, 4), round(difference + width, 4)


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean of paired differences with its 95% interval (Student 1908); there are two of them or more."""
    from scipy.stats import t as student

    count, mean = len(values), sum(values) / len(values)
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / (count - 1) / count)
    width = float(student.ppf(0.975, count - 1)) * spread
    return mean, mean - width, mean + width


def paired_shares(before: Sequence[bool], after: Sequence[bool]) -> tuple[float, float, float]:
    """By how much the share of ``after`` lies above that of ``before``, the same things asked twice, with the 95%
    interval of that, which is never empty (Bonett and Price 2012, "Adjusted Wald confidence interval for a difference
    of binomial proportions based on paired data")."""
    count = len(before)
    gained = sum(now and not was for was, now in zip(before, after, strict=True))
    lost = sum(was and not now for was, now in zip(before, after, strict=True))
    up, down = ((each + 1) / (count + 2) for each in (gained, lost))
    width = _NORMAL * math.sqrt((up + down - (up - down) ** 2) / (count + 2))
    difference = (gained - lost) / count
    return round(difference, 4), round(max(-1.0, up - down - width), 4), round(min(1.0, up - down + width), 4)


def best_rival(
    mine: Sequence[tuple[float, int]], rivals: Sequence[Sequence[tuple[float, int]]], documents: Sequence[str]
) -> dict[str, Any] | None:
    """How an author's adapter does against the adapters of others, on the author's own held-out text.

    An adapter that learned a person predicts that person better than any other adapter does; one that learned only what
    all its texts share does not. None without rivals.

    Args:
        mine: (summed loss, tokens) of each answer, with the author's adapter.
        rivals: the same with each of the others.
        documents: that of each answer.

    Returns:
        how many ``rivals`` there were, the mean ``loss`` a token of the best, by how much the author's own adapter lies
        below it (``lead``, a share), and the 95% interval of that over documents.
    """
    if not rivals:
        return None
    best = min(rivals, key=mean_loss)
    loss = mean_loss(best)
    lead = 1 - mean_loss(mine) / loss if loss else 0.0
    interval = list(gain_interval(best, mine, documents))
    return {"rivals": len(rivals), "loss": round(loss, 4), "lead": round(lead, 4), "lead_interval": interval}


def perplexity(loss: float) -> float:
    """e to the mean loss a token."""
    return round(math.exp(min(loss, 50)), 3)
