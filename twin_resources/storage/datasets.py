"""Dataset versions: rows of the catalogue that point to immutable Parquet artifacts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from twin_resources.database.postgres import copy_upsert
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
        found = self.list(author_id, kind)
        return found[0] if found else None

    def get(self, dataset_id: str) -> DatasetVersion | None:
        """A version by its id, or by the first digits of it where they are unambiguous."""
        found = [version for version in self.list() if version.id.startswith(dataset_id)]
        return found[0] if len(found) == 1 else None

    def list(self, author_id: str | None = None, kind: str | None = None) -> list[DatasetVersion]:
        """Versions, the newest first."""
        query = sa.select(dataset_version).order_by(dataset_version.c.created_at.desc(), dataset_version.c.id)
        if author_id is not None:
            query = query.where(dataset_version.c.author == author_id)
        if kind is not None:
            query = query.where(dataset_version.c.kind == kind)
        with self.engine.connect() as session:
            return [
                DatasetVersion(
                    row["id"], row["author"], row["kind"], row["artifact"], row["manifest"], row["created_at"]
                )
                for row in session.execute(query).mappings()
            ]

    def members(self, dataset_id: str) -> list[Member]:
        """Samples of a version with their chunks."""
        columns = dataset_member.c
        query = (
            sa.select(columns.sample_id, columns.chunk_id, columns.document_id, columns.url, columns.split)
            .where(columns.dataset_id == dataset_id)
            .order_by(columns.sample_id, columns.chunk_id)
        )
        with self.engine.connect() as session:
            return [Member(*row) for row in session.execute(query)]
