"""Whether enough changed since the newest version of a dataset to make another."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from twin_resources.config.datasets import DatasetSettings


@dataclass(frozen=True)
class Change:
    """How a dataset differs from its newest version: ``documents`` with a sample that is new or gone, those
    ``samples``, their ``share`` of all, and documents that may not be in it any more (``withdrawn``)."""

    documents: int
    samples: int
    share: float
    withdrawn: int

    def __str__(self) -> str:
        return f"{self.samples} samples ({self.share:.1%}) of {self.documents} documents changed"


def change(before: Mapping[str, str], after: Mapping[str, str], withdrawn: Collection[str]) -> Change:
    """Compare two datasets.

    Args:
        before, after: samples that follow from their document alone, by id, with the id of that document. Those that
            show passages of others, too, change with every document and count nothing.
        withdrawn: documents of the newest version that are gone, forgotten or left out by now.
    """
    added, removed = after.keys() - before.keys(), before.keys() - after.keys()
    changed = max(len(added), len(removed))
    documents = {after[key] for key in added} | {before[key] for key in removed}
    return Change(len(documents), changed, changed / max(1, len(before), len(after)), len(withdrawn))


def reason_to_make(found: Change, settings: DatasetSettings) -> str | None:
    """Why a version is made of what changed; None while that is too little."""
    if found.withdrawn:
        return f"{found.withdrawn} documents are no longer used"
    if found.documents >= settings.documents or found.samples >= settings.samples or found.share >= settings.share:
        return str(found) if found.samples else None
    return None


def waiting(found: Change, settings: DatasetSettings) -> str:
    """What is told while too little changed."""
    return (
        f"{found}; a version is made from {settings.documents} documents, {settings.samples} samples or "
        f"{settings.share:.0%} on, when a document goes, or at once with `twin run --select 'group:dataset'`"
    )
