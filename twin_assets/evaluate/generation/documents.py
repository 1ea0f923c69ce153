"""How well each held-out document is predicted, and whether newer ones are predicted worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twin_assets.evaluate.metrics import FEWEST_DOCUMENTS, mean_loss, welch_interval
from twin_resources.storage.clean_store import CleanEntry


@dataclass(frozen=True)
class Predicted:
    """A held-out document: the ``answers`` of it that were measured, their ``tokens``, and the mean ``loss`` a token of
    each model. ``published`` is the day (ISO 8601), or None where it is not known."""

    document_id: str
    title: str
    url: str
    published: str | None
    answers: int
    tokens: int
    loss: Mapping[str, float]


@dataclass(frozen=True)
class Change:
    """The mean loss of one model on the ``older`` and the ``newer`` documents, by how much the newer ones' lies above,
    and the 95% interval of that."""

    older: float
    newer: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class OverTime:
    """``older`` documents were published before the day ``since``, ``newer`` ones on it or later; ``undated`` are
    neither. ``models`` has the change of each."""

    since: str
    older: int
    newer: int
    undated: int
    models: Mapping[str, Change]


def predicted(
    losses: Mapping[str, Sequence[tuple[float, int]]],
    documents: Sequence[str],
    known: Mapping[str, CleanEntry],
    urls: Mapping[str, str],
    candidate: str,
) -> list[Predicted]:
    """The documents, those that ``candidate`` predicts worst first.

    Args:
        losses: (summed loss, tokens) of each answer, of each model.
        documents: that of each answer.
        known: the documents as they are now; one that is no longer among them is called by its address.
        urls: addresses of the documents when the dataset was made.
    """
    places: dict[str, list[int]] = {}
    for place, document in enumerate(documents):
        places.setdefault(document, []).append(place)
    found = []
    for key, mine in places.items():
        entry, url = known.get(key), urls.get(key, "")
        loss = {model: round(mean_loss([each[place] for place in mine]), 4) for model, each in losses.items()}
        found.append(
            Predicted(
                document_id=key,
                title=entry.title if entry and entry.title else url,
                url=entry.url if entry else url,
                published=entry.published_at.date().isoformat() if entry and entry.published_at else None,
                answers=len(mine),
                tokens=sum(losses[candidate][place][1] for place in mine),
                loss=loss,
            )
        )
    return sorted(found, key=lambda each: (-each.loss[candidate], each.document_id))


def over_time(found: Sequence[Predicted]) -> OverTime | None:
    """Whether the newer half of the documents with a date is predicted worse, by each model: where the base's loss
    rises as much as an adapter's, the newer texts are harder; where only the adapter's does, it has fallen behind them.

    Each document counts as one. None where one of the halves has fewer than :data:`~.metrics.FEWEST_DOCUMENTS`; those
    of one day are never divided.
    """
    dated = [(each.published, each) for each in found if each.published]
    if not dated:
        return None
    since = sorted(day for day, _ in dated)[len(dated) // 2]
    older = [each for day, each in dated if day < since]
    newer = [each for day, each in dated if day >= since]
    if min(len(older), len(newer)) < FEWEST_DOCUMENTS:
        return None
    models = {}
    for model in found[0].loss:
        before, after = ([each.loss[model] for each in half] for half in (older, newer))
        older_mean, newer_mean = (round(sum(half) / len(half), 4) for half in (before, after))
        models[model] = Change(older_mean, newer_mean, *welch_interval(before, after))
    return OverTime(since, len(older), len(newer), len(found) - len(dated), models)
