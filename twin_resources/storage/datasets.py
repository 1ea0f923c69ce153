"""Dataset versions: rows of the catalogue that point to immutable Parquet artifacts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from twin_resources.database.bulk import copy_upsert
from twin_resources.database.schema import dataset_member, dataset_version


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
