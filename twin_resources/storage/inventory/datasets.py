"""Dataset versions as people look through them: how many samples of which kind, of how many documents, and what was
left out and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from twin_resources.database.schema import dataset_member, dataset_version
from twin_resources.storage.inventory.paging import Paging, Part, Place


@dataclass(frozen=True)
class Described:
    """A version in figures.

    Attributes:
        splits, documents: samples by split, and documents they are of, as the catalogue holds them now.
        kinds: samples by kind, as they were made.
        passages, candidates: how many there were to choose from; None for versions that did not note it.
        dropped: candidates that were left out, by reason.
        checks: whether it passed each check.
        made_by: generator, code version and parameters.
        erased: whether its files are gone because something in it was forgotten.
    """

    id: str
    author: str
    kind: str
    created_at: datetime
    artifact: str
    splits: Mapping[str, int]
    documents: int
    kinds: Mapping[str, int]
    passages: int | None
    candidates: int | None
    dropped: Mapping[str, int]
    checks: Mapping[str, bool]
    made_by: Mapping[str, Any]
    erased: bool

    @property
    def samples(self) -> int:
        """Of all splits."""
        return sum(self.splits.values())


class Catalogue:
    """Lists dataset versions."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def part(self, author_id: str | None, kind: str | None, paging: Paging) -> Part[Described]:
        """One page of the versions, the newest first."""
        query = paging.of(_versions(author_id, kind), dataset_version.c.created_at, dataset_version.c.id)
        return paging.cut(self._described(query), lambda each: Place(each.created_at, each.id))

    def all(self, author_id: str | None = None) -> Sequence[Described]:
        """Every version, the newest first."""
        return self._described(
            _versions(author_id, None).order_by(dataset_version.c.created_at.desc(), dataset_version.c.id.desc())
        )

    def get(self, version_id: str) -> Described:
        """One version, which there has to be."""
        return self._described(_versions(None, None).where(dataset_version.c.id == version_id))[0]

    def _described(self, query: sa.Select) -> Sequence[Described]:
        with self.engine.connect() as session:
            rows = session.execute(query).all()
            wanted = dataset_member.c.dataset_id.in_([row.id for row in rows])
            samples = sa.func.count(dataset_member.c.sample_id.distinct())
            counted = (
                sa.select(dataset_member.c.dataset_id, dataset_member.c.split, samples)
                .where(wanted)
                .group_by(dataset_member.c.dataset_id, dataset_member.c.split)
            )
            splits: dict[str, dict[str, int]] = {row.id: {} for row in rows}
            for version, split, count in session.execute(counted):
                splits[version][split] = count
            of = (
                sa.select(dataset_member.c.dataset_id, sa.func.count(dataset_member.c.document_id.distinct()))
                .where(wanted)
                .group_by(dataset_member.c.dataset_id)
            )
            documents: dict[str, int] = {row[0]: row[1] for row in session.execute(of)}
        return [_described(row, splits[row.id], documents.get(row.id, 0)) for row in rows]


_SPLITS = ("train", "validation", "test")


def _versions(author_id: str | None, kind: str | None) -> sa.Select:
    query = sa.select(dataset_version)
    if author_id is not None:
        query = query.where(dataset_version.c.author == author_id)
    return query if kind is None else query.where(dataset_version.c.kind == kind)


def _described(row: sa.Row, splits: Mapping[str, int], documents: int) -> Described:
    manifest = row.manifest
    kinds = manifest.get("kinds") or manifest.get("origins") or {}
    return Described(
        id=row.id,
        author=row.author,
        kind=row.kind,
        created_at=row.created_at,
        artifact=row.artifact,
        splits={split: splits[split] for split in _SPLITS if split in splits},
        documents=documents,
        kinds=dict(sorted(kinds.items(), key=lambda item: (-item[1], item[0]))),
        passages=manifest.get("passages"),
        candidates=manifest.get("candidates"),
        dropped=dict(sorted((manifest.get("dropped") or {}).items(), key=lambda item: (-item[1], item[0]))),
        checks=manifest.get("checks") or {},
        made_by=manifest.get("made_by") or {},
        erased="erased" in manifest,
    )
