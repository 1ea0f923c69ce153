"""What a source gave, and so what goes with it when it is dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from twin_resources.database.schema import chunk, clean_document, dataset_member, document
from twin_resources.storage import lineage


@dataclass(frozen=True)
class Holdings:
    """What there is of a source.

    Attributes:
        documents: of the source, those it had before among them.
        copies: documents of other sources that are the same text, and are forgotten together with it.
        passages: of all these, in the index now.
        samples: made of any of them, in any dataset version; ``datasets`` counts those versions.
        adapters: rows of :func:`lineage.adapters_of`, the oldest first.
    """

    documents: int
    copies: int
    passages: int
    samples: int
    datasets: int
    adapters: Sequence[Mapping[str, Any]]


def holdings(engine: sa.Engine, author_id: str, source_id: str) -> Holdings:
    """What there is of a source of an author."""
    mine = sa.select(document.c.id).where(document.c.author == author_id, document.c.source_id == source_id)
    with engine.connect() as session:
        own = set(session.scalars(mine))
        together = sorted(own.union(session.scalars(_same_text(mine))))
        of_them = dataset_member.c.document_id.in_(together)
        samples, datasets = session.execute(
            sa.select(
                sa.func.count(dataset_member.c.sample_id.distinct()),
                sa.func.count(dataset_member.c.dataset_id.distinct()),
            ).where(of_them)
        ).one()
        passages = session.scalar(sa.select(sa.func.count()).where(chunk.c.document_id.in_(together), chunk.c.current))
        adapters = lineage.adapters_of(session, together)
    return Holdings(len(own), len(together) - len(own), passages or 0, samples, datasets, adapters)


def _same_text(documents: sa.Select) -> sa.Select:
    """Ids of the originals of some documents and of everything that was joined with those, as
    :func:`lineage.copies` finds them one by one."""
    kept = sa.select(sa.func.coalesce(clean_document.c.duplicate_of, clean_document.c.document_id)).where(
        clean_document.c.current, clean_document.c.document_id.in_(documents)
    )
    joined = clean_document.c.duplicate_of.in_(kept)
    return sa.select(clean_document.c.document_id).where(
        clean_document.c.current, sa.or_(clean_document.c.document_id.in_(kept), joined)
    )
