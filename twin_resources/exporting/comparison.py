"""What changed between two dataset versions: samples added, removed and changed, and by which documents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twin_resources.exporting.rows import Row, samples
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.datasets import Datasets, DatasetVersion

_NOT_COMPARED = {"facts", "flags", "made_of"}
"""Of a manifest: the card's own words for the rest, what checks say of samples, which the review page shows, and a hash
that differs with any document."""


@dataclass(frozen=True)
class ChangedSample:
    """A sample that is in one version only (``before`` or ``after`` is None), or that another took the place of."""

    before: Row | None
    after: Row | None

    @property
    def change(self) -> str:
        """``added``, ``removed`` or ``changed``."""
        return "added" if self.before is None else "removed" if self.after is None else "changed"


@dataclass(frozen=True)
class ChangedDocument:
    """How many samples of a document changed, and whether it was itself ``added``, ``removed`` or ``changed``."""

    document_id: str
    url: str
    change: str
    added: int
    removed: int
    changed: int
    same: int
    samples: tuple[ChangedSample, ...]


@dataclass(frozen=True)
class VersionDiff:
    """Two versions: all their documents, and the entries of their manifests that differ, each before and after."""

    documents: Sequence[ChangedDocument]
    manifest: Mapping[str, tuple[Any, Any]]

    @property
    def changed(self) -> Sequence[ChangedDocument]:
        """The documents that changed."""
        return [each for each in self.documents if each.change != "same"]


def between(
    catalogue: Datasets, artifacts: ArtifactStore, before: DatasetVersion, after: DatasetVersion
) -> VersionDiff:
    """What changed from one version to another."""
    old, new = before.manifest, after.manifest
    return VersionDiff(
        compare(*(samples(catalogue, artifacts, version) for version in (before, after))),
        {
            key: (old.get(key), new.get(key))
            for key in sorted({*old, *new} - _NOT_COMPARED)
            if old.get(key) != new.get(key)
        },
    )


def compare(before: Iterable[Row], after: Iterable[Row]) -> list[ChangedDocument]:
    """The documents of two versions in the order of their URLs, with what became of their samples.

    One that went and one that came of the same document and kind are one sample that changed where they ask the same
    or answer the same, or stand in another split.
    """
    old, new = _by_document(before), _by_document(after)
    found = []
    urls = {key: rows[-1].url for side in (old, new) for key, rows in side.items()}
    for key in sorted(urls, key=lambda each: (urls[each], each)):
        mine, theirs = old.get(key, []), new.get(key, [])
        known = {(row.id, row.split) for row in mine} & {(row.id, row.split) for row in theirs}
        gone = [row for row in mine if (row.id, row.split) not in known]
        came = [row for row in theirs if (row.id, row.split) not in known]
        changed = _paired(gone, came)
        counts = {name: sum(each.change == name for each in changed) for name in ("added", "removed", "changed")}
        change = "added" if not mine else "removed" if not theirs else "changed" if changed else "same"
        found.append(ChangedDocument(key, urls[key], change, **counts, same=len(known), samples=tuple(changed)))
    return found


def _by_document(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.document_id].append(row)
    return found


def _paired(gone: Iterable[Row], came: Iterable[Row]) -> list[ChangedSample]:
    waiting = list(came)
    found = []
    for row in gone:
        pair = next((each for each in waiting if _is_one(row, each)), None)
        if pair is not None:
            waiting.remove(pair)
        found.append(ChangedSample(row, pair))
    return [*found, *(ChangedSample(None, row) for row in waiting)]


def _is_one(before: Row, after: Row) -> bool:
    if before.id == after.id:
        return True
    same = (before.asked and before.asked == after.asked) or (before.answer and before.answer == after.answer)
    return before.kind == after.kind and bool(same)
