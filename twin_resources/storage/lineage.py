"""From an answer back to the URLs it rests on, and from a URL to everything it touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on, insert

from twin_resources.database.schema import (
    adapter,
    chunk,
    clean_document,
    dataset_member,
    dataset_version,
    document,
    document_version,
    forgotten,
    interaction,
    release,
)
from twin_resources.errors import TwinError
from twin_resources.text.identity import content_id
from twin_resources.text.identity import document_id as _id_of


class LineageError(TwinError):
    """Nothing of this URL or trace is known."""


def _rows(session: sa.Connection, query: sa.Select) -> list[dict[str, Any]]:
    return [dict(row) for row in session.execute(query).mappings()]


def of_url(engine: sa.Engine, url: str) -> dict[str, Any]:
    """Everything a URL touched, for each author that has it: versions, chunks, datasets, samples and adapters.

    Raises:
        LineageError: no document of this URL was ever stored.
    """
    with engine.connect() as session:
        documents = _rows(session, sa.select(document).where(document.c.url == url))
        if not documents:
            raise LineageError(f"no document has the URL {url}; `twin search` shows the URLs there are")
        for found in documents:
            mine = found["id"]
            found["versions"] = _rows(
                session,
                sa.select(
                    document_version.c.id,
                    document_version.c.content_hash,
                    document_version.c.title,
                    document_version.c.published_at,
                    document_version.c.fetched_at,
                )
                .where(document_version.c.document_id == mine)
                .order_by(document_version.c.fetched_at),
            )
            found["clean"] = _rows(
                session,
                sa.select(
                    clean_document.c.id,
                    clean_document.c.version_id,
                    clean_document.c.words,
                    clean_document.c.kept_share,
                    clean_document.c.excluded,
                    clean_document.c.duplicate_of,
                    clean_document.c.current,
                ).where(clean_document.c.document_id == mine),
            )
            found["chunks"] = _rows(
                session,
                sa.select(chunk.c.id, chunk.c.position, chunk.c.heading, chunk.c.tokens)
                .where(chunk.c.document_id == mine, chunk.c.current)
                .order_by(chunk.c.position),
            )
            together = copies(session, mine)
            found["copies"] = _rows(
                session, sa.select(document.c.id, document.c.url).where(document.c.id.in_(together[1:]))
            )
            found["datasets"] = _datasets(session, mine)
            found["samples"] = _samples(session, mine)
            found["adapters"] = adapters_of(session, together)
        return {"url": url, "documents": documents}


def _datasets(session: sa.Connection, document_id: str) -> list[dict[str, Any]]:
    query = (
        sa.select(
            dataset_version.c.id,
            dataset_version.c.kind,
            dataset_version.c.created_at,
            dataset_member.c.split,
            sa.func.count(sa.distinct(dataset_member.c.sample_id)).label("samples"),
        )
        .join(dataset_member, dataset_member.c.dataset_id == dataset_version.c.id)
        .where(dataset_member.c.document_id == document_id)
        .group_by(dataset_version.c.id, dataset_member.c.split)
        .order_by(dataset_version.c.created_at, dataset_member.c.split)
    )
    return _rows(session, query)


def _samples(session: sa.Connection, document_id: str) -> list[dict[str, Any]]:
    """Samples of the newest version of each kind that a document's passages went into, with the version of the
    document that each passage was cut from."""
    newest = (
        sa.select(dataset_version.c.id)
        .ext(distinct_on(dataset_version.c.author, dataset_version.c.kind))
        .order_by(dataset_version.c.author, dataset_version.c.kind, dataset_version.c.created_at.desc())
    )
    query = (
        sa.select(
            dataset_member.c.dataset_id,
            dataset_version.c.kind,
            dataset_member.c.sample_id,
            dataset_member.c.split,
            dataset_member.c.chunk_id,
            clean_document.c.version_id,
        )
        .join(dataset_version, dataset_version.c.id == dataset_member.c.dataset_id)
        .outerjoin(chunk, chunk.c.id == dataset_member.c.chunk_id)
        .outerjoin(clean_document, clean_document.c.id == chunk.c.clean_document_id)
        .where(dataset_member.c.document_id == document_id, dataset_member.c.dataset_id.in_(newest))
        .order_by(dataset_version.c.kind, dataset_member.c.sample_id, dataset_member.c.chunk_id)
    )
    return _rows(session, query)


_PASSAGE = (
    chunk.c.id.label("chunk_id"),
    chunk.c.document_id,
    chunk.c.clean_document_id,
    clean_document.c.version_id,
    chunk.c.url,
    chunk.c.title,
    chunk.c.heading,
    chunk.c.start,
    chunk.c.end,
    chunk.c.current,
)


def of_sample(engine: sa.Engine, sample_id: str) -> dict[str, Any]:
    """Where a sample stands, and what it was made of: passages, the versions of their documents, and their URLs.

    Raises:
        LineageError: no dataset version has such a sample.
    """
    with engine.connect() as session:
        datasets = _rows(
            session,
            sa.select(
                dataset_version.c.id,
                dataset_version.c.author,
                dataset_version.c.kind,
                dataset_version.c.created_at,
                dataset_member.c.split,
            )
            .join(dataset_member, dataset_member.c.dataset_id == dataset_version.c.id)
            .where(dataset_member.c.sample_id == sample_id)
            .distinct()
            .order_by(dataset_version.c.created_at, dataset_version.c.id),
        )
        if not datasets:
            raise LineageError(f"no dataset version has a sample {sample_id}; `twin diff --samples` shows samples")
        made_of = sa.select(dataset_member.c.chunk_id).where(dataset_member.c.sample_id == sample_id)
        passages = _rows(
            session,
            sa.select(*_PASSAGE)
            .join(clean_document, clean_document.c.id == chunk.c.clean_document_id)
            .where(chunk.c.id.in_(made_of))
            .order_by(chunk.c.url, chunk.c.position),
        )
        return {"sample_id": sample_id, "datasets": datasets, "passages": passages}


def adapters_of(session: sa.Connection, document_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Adapters that were trained on any of these documents (one stands in the train split of their dataset)."""
    aliases = (
        sa.select(sa.func.array_agg(release.c.alias)).where(release.c.version == adapter.c.version).scalar_subquery()
    )
    query = (
        sa.select(
            adapter.c.version,
            adapter.c.kind,
            adapter.c.base,
            adapter.c.dataset_id,
            adapter.c.created_at,
            adapter.c.retired_because,
            aliases.label("aliases"),
        )
        .where(
            sa.exists().where(
                dataset_member.c.dataset_id == adapter.c.dataset_id,
                dataset_member.c.document_id.in_(list(document_ids)),
                dataset_member.c.split == "train",
            )
        )
        .order_by(adapter.c.created_at)
    )
    return _rows(session, query)


def of_trace(engine: sa.Engine, trace_id: str) -> dict[str, Any]:
    """What one answer rests on: the passages it was given and, through its adapter, the dataset and its documents.

    Raises:
        LineageError: no answer of this trace is stored.
    """
    with engine.connect() as session:
        rows = _rows(session, sa.select(interaction).where(interaction.c.id == trace_id))
        if not rows:
            raise LineageError(f"no answer has the trace {trace_id}; it is in the response of /ask as `trace_id`")
        answer = rows[0]
        cited = [citation["chunk_id"] for citation in answer["citations"]]
        passages = _rows(
            session,
            sa.select(*_PASSAGE)
            .join(clean_document, clean_document.c.id == chunk.c.clean_document_id)
            .where(chunk.c.id.in_(cited)),
        )
        return {
            "trace_id": trace_id,
            "author": answer["author"],
            "query": answer["query"],
            "answer": answer["answer"],
            "at": answer["at"],
            "base": answer["base"],
            "passages": passages,
            "adapter": of_adapter(session, answer["version"]) if answer["version"] else None,
        }


def of_adapter(session: sa.Connection, version: str) -> Mapping[str, Any] | None:
    """An adapter with its dataset version and the documents whose text it was trained on."""
    rows = _rows(session, sa.select(adapter).where(adapter.c.version == version))
    if not rows:
        return None
    found = rows[0]
    dataset = _rows(session, sa.select(dataset_version).where(dataset_version.c.id == found["dataset_id"]))[0]
    dataset["documents"] = _rows(
        session,
        sa.select(
            dataset_member.c.document_id,
            dataset_member.c.url,
            sa.func.count(sa.distinct(dataset_member.c.sample_id)).label("samples"),
        )
        .where(dataset_member.c.dataset_id == found["dataset_id"], dataset_member.c.split == "train")
        .group_by(dataset_member.c.document_id, dataset_member.c.url)
        .order_by(dataset_member.c.url),
    )
    found["dataset"] = dataset
    return found


def copies(session: sa.Connection, document_id: str) -> list[str]:
    """Ids of a document and of all that were joined with it as the same text, the document first."""
    joined = clean_document.c.current & clean_document.c.duplicate_of.is_not(None)
    original = session.scalar(
        sa.select(clean_document.c.duplicate_of).where(clean_document.c.document_id == document_id, joined)
    )
    kept = original or document_id
    others = session.scalars(
        sa.select(clean_document.c.document_id)
        .where(clean_document.c.duplicate_of == kept, joined)
        .order_by(clean_document.c.document_id)
    )
    return list(dict.fromkeys([document_id, kept, *others]))


def never_again(session: sa.Connection, document_ids: Sequence[str], why: str, adapters: Sequence[str]) -> None:
    """Remember ids of documents that must not be collected again, by whichever of their addresses they come."""
    query = sa.select(document.c.id, document.c.author, document.c.url, document.c.former_urls)
    rows = session.execute(query.where(document.c.id.in_(document_ids))).all()
    # A document that moved keeps its id, so the ids that its other addresses would give are remembered too.
    addresses = {
        (key, row.author)
        for row in rows
        for key in (row.id, *(_id_of(row.author, url) for url in (row.url, *row.former_urls)))
    }
    for key, author in sorted(addresses):
        row = {"id": content_id("forgotten", key), "author": author, "document_id": key, "why": why}
        session.execute(insert(forgotten).values(**row, adapters=list(adapters)).on_conflict_do_nothing())


def retire(engine: sa.Engine, version: str, why: str) -> None:
    """Take an adapter out of use: it loses its aliases and cannot be approved again."""
    with engine.begin() as session:
        session.execute(
            sa.update(adapter).where(adapter.c.version == version).values(retired_at=sa.func.now(), retired_because=why)
        )
        session.execute(sa.delete(release).where(release.c.version == version))
