"""Dataset versions: rows of the catalogue that point to immutable Parquet artifacts, and the places of documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert

from twin_resources.database.bulk import copy_upsert
from twin_resources.database.schema import (
    dataset_member,
    dataset_version,
    document,
    document_place,
)
from twin_resources.storage.sources import lock_author

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class DatasetVersion:
    """One version; ``artifact`` is its address in the artifact store."""

    id: str
    author: str
    kind: str
    artifact: str
    manifest: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class Member:
    """One sample and one chunk that it was made from."""

    sample_id: str
    chunk_id: str
    document_id: str
    url: str
    split: str


@dataclass(frozen=True)
class Place:
    """Where a document stands among test, validation and training, in [0, 1).

    ``place`` is given once and never changes; ``lowest`` is the lowest place of all that it ever shared text with,
    itself included, and only ever falls. Where the two lie in different splits, nothing learns from the document and
    nothing is measured on it.
    """

    document_id: str
    place: float
    lowest: float


_NEWEST_FIRST = sa.select(*(dataset_version.c[name] for name in DatasetVersion.__dataclass_fields__)).order_by(
    dataset_version.c.created_at.desc(), dataset_version.c.id
)


class Datasets:
    """The catalogue of dataset versions and of the chunks that went into them."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def add(
        self,
        dataset_id: str,
        author_id: str,
        kind: str,
        artifact: str,
        manifest: Mapping[str, Any],
        members: Iterable[Member],
    ) -> None:
        """Register a version and make it the newest, even if the same content was there before."""
        statement = insert(dataset_version).values(
            id=dataset_id, author=author_id, kind=kind, artifact=artifact, manifest=dict(manifest)
        )
        with self.engine.begin() as session:
            session.execute(
                statement.on_conflict_do_update(
                    index_elements=["id"],
                    set_={
                        "created_at": sa.func.clock_timestamp(),
                        "artifact": artifact,
                        "manifest": statement.excluded.manifest,
                    },
                )
            )
            copy_upsert(
                session,
                dataset_member,
                ["dataset_id", "sample_id", "chunk_id", "document_id", "url", "split"],
                (
                    (dataset_id, member.sample_id, member.chunk_id, member.document_id, member.url, member.split)
                    for member in members
                ),
            )

    def note_check(self, dataset_id: str, name: str, *, passed: bool) -> None:
        """Write down with a version whether it passed a check."""
        checks = sa.func.coalesce(dataset_version.c.manifest["checks"], sa.cast({}, JSONB))
        noted = checks.op("||")(sa.cast({name: passed}, JSONB))
        manifest = dataset_version.c.manifest.op("||")(sa.func.jsonb_build_object("checks", noted))
        with self.engine.begin() as session:
            session.execute(
                sa.update(dataset_version).where(dataset_version.c.id == dataset_id).values(manifest=manifest)
            )

    def note_flags(self, dataset_id: str, flags: Sequence[Mapping[str, str]]) -> None:
        """Write down with a version what checks have against single samples: ``sample``, ``check`` and ``reason``."""
        manifest = dataset_version.c.manifest.op("||")(sa.cast({"flags": list(flags)}, JSONB))
        with self.engine.begin() as session:
            session.execute(
                sa.update(dataset_version).where(dataset_version.c.id == dataset_id).values(manifest=manifest)
            )

    def newest(self, author_id: str, kind: str) -> DatasetVersion | None:
        """The newest version of a kind, if there is one."""
        mine = (dataset_version.c.author == author_id, dataset_version.c.kind == kind)
        return next(iter(self._versions(_NEWEST_FIRST.where(*mine).limit(1))), None)

    def get(self, dataset_id: str) -> DatasetVersion | None:
        """A version by its id, or by the first digits of it where they are unambiguous."""
        begins = dataset_version.c.id.startswith(dataset_id, autoescape=True)
        found = self._versions(_NEWEST_FIRST.where(begins).limit(2))
        return found[0] if len(found) == 1 else None

    def list(self, author_id: str | None = None, kind: str | None = None) -> Sequence[DatasetVersion]:
        """Versions, the newest first."""
        query = _NEWEST_FIRST
        if author_id is not None:
            query = query.where(dataset_version.c.author == author_id)
        if kind is not None:
            query = query.where(dataset_version.c.kind == kind)
        return self._versions(query)

    def _versions(self, query: sa.Select) -> Sequence[DatasetVersion]:
        with self.engine.connect() as session:
            return [DatasetVersion(*row) for row in session.execute(query)]

    def urls_in_both(self, held_out: str, trained_on: str) -> Sequence[str]:
        """URLs of documents of the test split of one version that stand in the train split of another."""
        test, train = dataset_member.alias("test"), dataset_member.alias("train")
        both = train.c.document_id == test.c.document_id
        query = (
            sa.select(test.c.url)
            .join(train, both & (train.c.dataset_id == trained_on) & (train.c.split == "train"))
            .where(test.c.dataset_id == held_out, test.c.split == "test")
        )
        with self.engine.connect() as session:
            return session.scalars(query.distinct().order_by(test.c.url)).all()

    def changed_sides(self, dataset_id: str) -> Sequence[str]:
        """URLs of documents that a version learns from and another of its author and kind tests on, or the reverse."""
        mine, other, version = dataset_member.alias("mine"), dataset_member.alias("other"), dataset_version.alias("v")
        sides = sa.or_(
            (mine.c.split == "train") & (other.c.split == "test"), (mine.c.split == "test") & (other.c.split == "train")
        )
        query = (
            sa.select(mine.c.url)
            .join(dataset_version, dataset_version.c.id == mine.c.dataset_id)
            .join(version, (version.c.author == dataset_version.c.author) & (version.c.kind == dataset_version.c.kind))
            .join(other, (other.c.dataset_id == version.c.id) & (other.c.document_id == mine.c.document_id) & sides)
            .where(mine.c.dataset_id == dataset_id)
        )
        with self.engine.connect() as session:
            return session.scalars(query.distinct().order_by(mine.c.url)).all()

    def members(self, dataset_id: str) -> Sequence[Member]:
        """Samples of a version with their chunks."""
        columns = dataset_member.c
        query = (
            sa.select(columns.sample_id, columns.chunk_id, columns.document_id, columns.url, columns.split)
            .where(columns.dataset_id == dataset_id)
            .order_by(columns.sample_id, columns.chunk_id)
        )
        with self.engine.connect() as session:
            return [Member(*row) for row in session.execute(query)]


class Places:
    """The places of documents, remembered for as long as the document is."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def update(
        self, author_id: str, settle: Callable[[Mapping[str, Place]], Mapping[str, Place]]
    ) -> Mapping[str, Place]:
        """Decide on places from those that are known, and remember them; one at a time for an author.

        Args:
            settle: takes the known places of the author by document id, and gives those to be remembered.
        """
        columns = ("document_id", "author", "place", "lowest")
        query = sa.select(document_place.c.document_id, document_place.c.place, document_place.c.lowest)
        with self.engine.begin() as session:
            lock_author(session, author_id)
            rows = session.execute(query.where(document_place.c.author == author_id))
            known = {row.document_id: Place(*row) for row in rows}
            settled = settle(known)
            alive = set(session.scalars(sa.select(document.c.id).where(document.c.author == author_id)))
            changed = (
                (key, author_id, each.place, each.lowest)
                for key, each in settled.items()
                if each != known.get(key) and key in alive
            )
            copy_upsert(session, document_place, columns, changed, update=["lowest"])
        return settled
