"""The warehouse: every document an author published, every version of it, and what was derived from it.

Raw documents come in through :meth:`Warehouse.collect`, whether a raw asset, ``twin import`` or ``POST /documents``
reads them. Nothing is overwritten: a changed document gets a new version and the pointer moves.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from psycopg.types.json import Jsonb
from sqlalchemy.dialects.postgresql import ARRAY, insert

from twin_resources.config.settings import AuthorSettings
from twin_resources.database.postgres import copy_upsert
from twin_resources.database.schema import (
    author,
    chunk,
    clean_document,
    document,
    document_version,
    forgotten,
    quarantine,
    source,
)
from twin_resources.errors import SourceError
from twin_resources.sources.base import Item, Quarantined, RawDocument, Skipped, Source, Unchanged
from twin_resources.sources.network import NetworkSource
from twin_resources.storage.visits import Visits
from twin_resources.text.identity import content_id, document_id

__all__ = ["CollectReport", "LiveDocument", "Warehouse", "document_id"]

_BATCH = 500
_SMALL_BATCH = 5
"""What an interrupted crawl may lose; each of its pages costs a second or more."""
_FEWER_IS_NORMAL = 5
_GONE_SHARE = 0.3
_GONE_AFTER = 2
_MOST_CONFIRMED = 50


@dataclass
class CollectReport:
    """What one reading of one source did. ``found`` counts every item, and all of them are accounted for."""

    source: str
    found: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    gone: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    quarantined: list[Quarantined] = field(default_factory=list)
    missing: int = 0
    """Documents that the source no longer has but that were kept, because suspiciously many are missing at once."""
    absent: int = 0
    """Documents that a crawl did not list but that were kept: missing once only, or still at their address."""
    fetched: int = 0
    """Pages that were read in full; 0 for a source that is a file."""
    requests: int = 0
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """JSON form for the terminal, the metadata and the ``source`` table."""
        return {
            "source": self.source,
            "found": self.found,
            "new": self.new,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "gone": self.gone,
            "skipped": dict(sorted(self.skipped.items())),
            "quarantined": len(self.quarantined),
            "missing_kept": self.missing,
            "absent": self.absent,
            "fetched": self.fetched,
            "requests": self.requests,
            "seconds": round(self.seconds, 1),
        }


@dataclass(frozen=True)
class LiveDocument:
    """The newest version of a document that is not gone."""

    document_id: str
    version_id: str
    url: str
    origin: str
    platform: str
    category: str
    title: str | None
    byline: str | None
    media_type: str
    body: str
    published_at: datetime | None
    payload: Mapping[str, Any]


def _content_hash(item: RawDocument) -> str:
    return content_id(
        item.title,
        item.byline,
        item.media_type,
        item.body,
        item.published_at and item.published_at.isoformat(),
        item.also,
    )


class Warehouse:
    """Reads and writes documents, clean documents and chunks of the ``twin`` database."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def record_author(self, settings: AuthorSettings) -> None:
        """Record an author with the consent of ``twin.yaml``; keeps the first date while the words are the same."""
        statement = insert(author).values(id=settings.id, name=settings.name, consent=settings.consent)
        with self.engine.begin() as session:
            session.execute(
                statement.on_conflict_do_update(
                    index_elements=["id"],
                    set_={
                        "name": statement.excluded.name,
                        "consent": statement.excluded.consent,
                        "recorded_at": sa.case(
                            (author.c.consent == statement.excluded.consent, author.c.recorded_at), else_=sa.func.now()
                        ),
                    },
                )
            )

    def remember_source(self, author_id: str, opened: Source, options: Mapping[str, Any], *, remembered: bool) -> str:
        """Register a source and return its id; ``remembered`` marks one that ``twin.yaml`` does not name."""
        source_id = content_id("source", author_id, opened.kind, opened.location)
        values = {
            "id": source_id,
            "author": author_id,
            "kind": opened.kind,
            "origin": opened.platform,
            "location": opened.location,
            "options": dict(options),
            "remembered": remembered,
        }
        statement = insert(source).values(values)
        with self.engine.begin() as session:
            session.execute(
                statement.on_conflict_do_update(index_elements=["id"], set_={"options": statement.excluded.options})
            )
        return source_id

    def remembered_sources(self, author_id: str, origin: str) -> list[dict[str, Any]]:
        """Sources of one raw asset that were added by ``twin import``: kind, location and options."""
        with self.engine.connect() as session:
            query = sa.select(source).where(
                source.c.author == author_id, source.c.origin == origin, source.c.remembered
            )
            return [dict(row) for row in session.execute(query.order_by(source.c.added_at, source.c.id)).mappings()]

    def release_sources(self, author_id: str, origin: str, keep: Iterable[str]) -> int:
        """Mark as gone what only sources outside ``keep`` provided: they were taken out of ``twin.yaml``.

        Returns:
            The number of documents that are gone with them.
        """
        with self.engine.begin() as session:
            dropped = sa.select(source.c.id).where(
                source.c.author == author_id, source.c.origin == origin, source.c.id.not_in(list(keep))
            )
            gone = session.execute(
                sa.update(document)
                .where(document.c.source_id.in_(dropped), document.c.gone_at.is_(None))
                .values(gone_at=sa.func.now())
            )
            session.execute(sa.delete(source).where(source.c.id.in_(dropped)))
            return gone.rowcount

    def memory(self, author_id: str, source_id: str) -> Visits:
        """What earlier readings of a source left to the next one."""
        return Visits(self.engine, author_id, source_id)

    def collect(
        self,
        author_id: str,
        source_id: str,
        items: Iterable[Item],
        *,
        origin: str,
        name: str,
        complete: bool = True,
        accept_removals: bool = False,
        progress: Callable[[int], None] | None = None,
        crawl: NetworkSource | None = None,
    ) -> CollectReport:
        """Store everything a source yields, in batches that are each one transaction.

        A document that two sources provide belongs to the source that was added last, so reading both again changes
        nothing. ``complete`` says that the source shows all it has, so a document that is not there any more is gone;
        when suspiciously many are missing at once they are kept and counted as ``missing``, unless
        ``accept_removals``. Forgotten documents are skipped.

        With ``crawl`` the source says itself, at the end, whether it was complete; a document is gone when it was
        missing twice and its own address confirms it, and one whose address changed stays the same document.

        Raises:
            SourceError: the source cannot be read any further. What it gave until then is stored.
        """
        report = CollectReport(name)
        started = time.monotonic()
        seen: set[str] = set()
        size = _BATCH if crawl is None else _SMALL_BATCH
        failure: SourceError | None = None
        remaining = iter(items)
        while failure is None:
            batch: list[Item] = []
            try:
                for item in itertools.islice(remaining, size):
                    batch.append(item)  # one by one, so that what came before an error is there
            except SourceError as error:
                failure = error
            if not batch and failure is None:
                break
            report.found += len(batch)
            stored: list[RawDocument | Unchanged] = []
            for item in batch:
                if isinstance(item, Skipped):
                    report.skipped[item.reason] += 1
                elif isinstance(item, Quarantined):
                    report.quarantined.append(item)
                else:
                    stored.append(item)
            if stored or crawl is not None:
                self._store(author_id, source_id, origin, stored, report, seen, crawl)
            if progress:
                progress(report.found)
        report.seconds = time.monotonic() - started
        if crawl is not None:
            report.fetched, report.requests = crawl.fetched, crawl.web.requests
        if failure is not None:
            raise failure
        if crawl is not None:
            complete = crawl.complete and not crawl.troubled
        confirmed = self._confirmed(source_id, seen, crawl) if crawl is not None and complete else None
        if crawl is not None:
            report.seconds, report.requests = time.monotonic() - started, crawl.web.requests
        with self.engine.begin() as session:
            if complete:
                self._mark_gone(session, source_id, seen, report, accept_removals, confirmed)
            session.execute(sa.delete(quarantine).where(quarantine.c.source_id == source_id))
            if report.quarantined:
                rows = [
                    {
                        "id": content_id("quarantine", source_id, item.item, item.reason),
                        "author": author_id,
                        "source_id": source_id,
                        "item": item.item,
                        "reason": item.reason,
                        "remedy": item.remedy,
                    }
                    for item in report.quarantined
                ]
                session.execute(insert(quarantine).on_conflict_do_nothing(), rows)
            if crawl is not None:
                crawl.memory.save_cursor(session)
            session.execute(
                sa.update(source)
                .where(source.c.id == source_id)
                .values(read_at=sa.func.now(), counts=report.as_dict(), failed_at=None, failure=None)
            )
        return report

    def record_failure(self, source_id: str, why: str) -> None:
        """Record with a source that it cannot be read, and why; the next reading that ends well clears it."""
        with self.engine.begin() as session:
            session.execute(
                sa.update(source)
                .where(source.c.id == source_id)
                .values(failed_at=sa.func.coalesce(source.c.failed_at, sa.func.now()), failure=why)
            )

    def _store(
        self,
        author_id: str,
        source_id: str,
        origin: str,
        items: Sequence[RawDocument | Unchanged],
        report: CollectReport,
        seen: set[str],
        crawl: NetworkSource | None,
    ) -> None:
        now = datetime.now(UTC)
        with self.engine.begin() as session:
            session.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext(:author))"), {"author": author_id})
            known = _Known(session, author_id, source_id, items, by_other_urls=crawl is not None)
            mine = session.execute(sa.select(source.c.added_at, source.c.id).where(source.c.id == source_id)).one()
            heads, versions = [], []
            for item in items:
                before = known.find(item)
                key = before["id"] if before else document_id(author_id, item.url)
                if known.is_forgotten(item):
                    report.skipped["forgotten"] += 1
                    continue
                if key in seen:
                    report.skipped["same_url_twice"] += 1
                    continue
                seen.add(key)
                if isinstance(item, Unchanged):
                    report.unchanged += 1
                    continue
                if (
                    before
                    and before["gone_at"] is None
                    and before["source_id"] not in (None, source_id)
                    and (before["added_at"], before["source_id"]) > (mine.added_at, mine.id)
                ):
                    report.skipped["in_a_newer_source"] += 1
                    continue
                if (
                    crawl is not None
                    and crawl.gives_way
                    and before
                    and before["gone_at"] is None
                    and before["source_id"] not in (None, source_id)
                ):
                    report.skipped["in_another_source"] += 1
                    continue
                url, former = known.addresses(item, before)
                item = replace(item, url=url, also=tuple(dict.fromkeys((*item.also, *former))))
                digest = _content_hash(item)
                version_id = content_id("version", key, digest)
                if before is None or before["gone_at"] is not None:
                    report.new += 1
                elif before["version_id"] != version_id:
                    report.changed += 1
                else:
                    report.unchanged += 1
                    if before["source_id"] == source_id:
                        continue
                heads.append(
                    (
                        key,
                        author_id,
                        url,
                        origin,
                        source_id,
                        item.platform,
                        item.category,
                        version_id,
                        None,
                        0,
                        list(former),
                    )
                )
                payload = {"also": list(item.also), **dict(item.extra)}
                if item.same:
                    payload["same"] = list(item.same)
                versions.append(
                    (
                        version_id,
                        key,
                        digest,
                        item.title,
                        item.byline,
                        item.media_type,
                        item.body,
                        item.published_at,
                        payload,
                        now,
                    )
                )
            moving = ["url", "origin", "source_id", "platform", "category", "version_id", "gone_at", "missing"]
            copy_upsert(
                session,
                document,
                ["id", "author", *moving, "former_urls"],
                heads,
                update=[*moving, "former_urls"],
            )
            copy_upsert(
                session,
                document_version,
                [
                    "id",
                    "document_id",
                    "content_hash",
                    "title",
                    "byline",
                    "media_type",
                    "body",
                    "published_at",
                    "payload",
                    "fetched_at",
                ],
                [tuple(_storable(value) for value in row) for row in versions],
            )
            if crawl is not None:
                crawl.memory.flush(session)

    def _confirmed(self, source_id: str, seen: set[str], crawl: NetworkSource) -> set[str]:
        """Which documents that are missing for the second time are gone by their own address."""
        query = sa.select(document.c.id, document.c.url).where(
            document.c.source_id == source_id, document.c.gone_at.is_(None), document.c.missing >= _GONE_AFTER - 1
        )
        with self.engine.connect() as session:
            rows = [row for row in session.execute(query.order_by(document.c.id)) if row.id not in seen]
        return {row.id for row in rows[:_MOST_CONFIRMED] if crawl.confirm(row.url) == "gone"}

    def _mark_gone(
        self,
        session: sa.Connection,
        source_id: str,
        seen: set[str],
        report: CollectReport,
        accept: bool,
        confirmed: set[str] | None,
    ) -> None:
        owned = set(
            session.scalars(
                sa.select(document.c.id).where(document.c.source_id == source_id, document.c.gone_at.is_(None))
            )
        )
        missing = owned - seen
        if len(missing) > max(_FEWER_IS_NORMAL, _GONE_SHARE * len(owned)) and not accept:
            report.missing = len(missing)
            return
        gone = missing if confirmed is None or accept else missing & confirmed
        if gone:
            session.execute(sa.update(document).where(document.c.id.in_(gone)).values(gone_at=sa.func.now()))
        if confirmed is not None:
            absent = missing - gone
            session.execute(
                sa.update(document)
                .where(document.c.source_id == source_id, document.c.missing > 0, document.c.id.not_in(absent))
                .values(missing=0)
            )
            session.execute(sa.update(document).where(document.c.id.in_(absent)).values(missing=document.c.missing + 1))
            report.absent = len(absent)
        report.gone = len(gone)

    def raw_hash(self, author_id: str, origin: str) -> str:
        """Content hash of the live documents of one raw asset: the data version of that asset."""
        with self.engine.connect() as session:
            ids = session.scalars(
                sa.select(document.c.version_id)
                .where(document.c.author == author_id, document.c.origin == origin, document.c.gone_at.is_(None))
                .order_by(document.c.id)
            )
            return content_id("raw", *ids)

    def origins(self, author_id: str) -> set[str]:
        """Raw assets that hold documents or sources of this author."""
        with self.engine.connect() as session:
            found = sa.union(
                sa.select(document.c.origin).where(document.c.author == author_id),
                sa.select(source.c.origin).where(source.c.author == author_id),
            )
            return set(session.scalars(found))

    def live_documents(self, author_id: str, category: str, without_clean: str | None = None) -> Iterator[LiveDocument]:
        """Stream the newest versions of a category, in the order of their ids.

        Args:
            without_clean: leave out documents that this version of the cleaning has already been through.
        """
        query = (
            sa.select(
                document.c.id,
                document.c.version_id,
                document.c.url,
                document.c.origin,
                document.c.platform,
                document.c.category,
                document_version.c.title,
                document_version.c.byline,
                document_version.c.media_type,
                document_version.c.body,
                document_version.c.published_at,
                document_version.c.payload,
            )
            .join(document_version, document_version.c.id == document.c.version_id)
            .where(document.c.author == author_id, document.c.category == category, document.c.gone_at.is_(None))
            .order_by(document.c.id)
        )
        if without_clean is not None:
            query = query.where(
                ~sa.exists().where(
                    clean_document.c.version_id == document.c.version_id, clean_document.c.cleaner == without_clean
                )
            )
        with self.engine.connect() as session:
            for row in session.execution_options(yield_per=200).execute(query):
                yield LiveDocument(*row)

    def save_clean(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add clean documents (columns of ``clean_document``); existing ones stay."""
        if not rows:
            return
        columns = [column.name for column in clean_document.columns if column.name not in ("created_at", "current")]
        with self.engine.begin() as session:
            copy_upsert(
                session,
                clean_document,
                columns,
                [tuple(_storable(row[column]) for column in columns) for row in rows],
            )

    def settle_clean(self, author_id: str, category: str, cleaner: str) -> int:
        """Point ``current`` at the clean form of each live document's newest version; returns how many rows moved."""
        is_current = sa.exists().where(
            document.c.id == clean_document.c.document_id,
            document.c.version_id == clean_document.c.version_id,
            document.c.category == clean_document.c.category,
            document.c.gone_at.is_(None),
            clean_document.c.cleaner == cleaner,
        )
        mine = (clean_document.c.author == author_id) & (clean_document.c.category == category)
        with self.engine.begin() as session:
            moved = session.execute(
                sa.update(clean_document).where(mine, clean_document.c.current != is_current).values(current=is_current)
            )
            return moved.rowcount

    def set_exclusions(self, exclusions: Mapping[str, tuple[str | None, str | None, str | None]]) -> None:
        """Write why clean documents are left out: id to (reason, id of the document it duplicates, what the author
        overruled)."""
        if not exclusions:
            return
        said = sa.cast(sa.bindparam("said"), sa.Text)
        overruled = sa.case(
            (said.is_(None), clean_document.c.attributes.op("-")("overruled")),
            else_=clean_document.c.attributes.op("||")(sa.func.jsonb_build_object("overruled", said)),
        )
        with self.engine.begin() as session:
            session.execute(
                sa.update(clean_document)
                .where(clean_document.c.id == sa.bindparam("key"))
                .values(excluded=sa.bindparam("reason"), duplicate_of=sa.bindparam("twin"), attributes=overruled),
                [
                    {"key": key, "reason": reason, "twin": twin, "said": said}
                    for key, (reason, twin, said) in exclusions.items()
                ],
            )

    def clean_documents(
        self, author_id: str, category: str | None = None, *, excluded: bool = False
    ) -> list[dict[str, Any]]:
        """Current clean documents ordered by id; ``excluded`` also returns those left out, with the reason."""
        query = sa.select(clean_document).where(clean_document.c.author == author_id, clean_document.c.current)
        if category is not None:
            query = query.where(clean_document.c.category == category)
        if not excluded:
            query = query.where(clean_document.c.excluded.is_(None))
        with self.engine.connect() as session:
            return [dict(row) for row in session.execute(query.order_by(clean_document.c.id)).mappings()]

    def clean_hash(self, author_id: str, category: str) -> str:
        """Content hash of snapshot 1 for a category."""
        with self.engine.connect() as session:
            rows = session.execute(
                sa.select(clean_document.c.document_id, clean_document.c.content_hash, clean_document.c.title)
                .where(
                    clean_document.c.author == author_id,
                    clean_document.c.category == category,
                    clean_document.c.current,
                    clean_document.c.excluded.is_(None),
                )
                .order_by(clean_document.c.document_id)
            )
            return content_id("clean", *itertools.chain.from_iterable(rows))

    def unchunked(self, author_id: str, category: str, chunker: str) -> list[dict[str, Any]]:
        """Current clean documents that have no chunks of this chunker yet."""
        usable = sa.select(clean_document).where(
            clean_document.c.author == author_id,
            clean_document.c.category == category,
            clean_document.c.current,
            clean_document.c.excluded.is_(None),
            ~sa.exists().where(chunk.c.clean_document_id == clean_document.c.id, chunk.c.chunker == chunker),
        )
        with self.engine.connect() as session:
            return [dict(row) for row in session.execute(usable.order_by(clean_document.c.id)).mappings()]

    def save_chunks(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Add chunks (columns of ``chunk``); returns how many were new."""
        skip = ("created_at", "current", "served")
        columns = [column.name for column in chunk.columns if column.name not in skip]
        with self.engine.begin() as session:
            return copy_upsert(
                session, chunk, columns, [tuple(_storable(row[column]) for column in columns) for row in rows]
            )

    def settle_chunks(self, author_id: str, category: str, chunker: str) -> int:
        """Point ``current`` at the chunks of the usable clean documents; returns how many rows moved."""
        is_current = sa.and_(
            chunk.c.chunker == chunker,
            sa.exists().where(
                clean_document.c.id == chunk.c.clean_document_id,
                clean_document.c.current,
                clean_document.c.excluded.is_(None),
            ),
        )
        mine = (chunk.c.author == author_id) & (chunk.c.category == category)
        with self.engine.begin() as session:
            moved = session.execute(
                sa.update(chunk).where(mine, chunk.c.current != is_current).values(current=is_current)
            )
            return moved.rowcount

    def chunks(self, author_id: str, category: str | None = None) -> list[dict[str, Any]]:
        """Current chunks in the order of document and position."""
        columns = [column for column in chunk.columns if column.name != "created_at"]
        query = sa.select(*columns).where(chunk.c.author == author_id, chunk.c.current)
        if category is not None:
            query = query.where(chunk.c.category == category)
        with self.engine.connect() as session:
            return [
                dict(row) for row in session.execute(query.order_by(chunk.c.document_id, chunk.c.position)).mappings()
            ]

    def chunk_hash(self, author_id: str, category: str) -> str:
        """Content hash of the current chunks of a category."""
        with self.engine.connect() as session:
            ids = session.scalars(
                sa.select(chunk.c.id)
                .where(chunk.c.author == author_id, chunk.c.category == category, chunk.c.current)
                .order_by(chunk.c.id)
            )
            return content_id("chunks", *ids)

    def counts(self, author_id: str) -> dict[str, int]:
        """How much of an author is stored at each stage."""
        statements = {
            "documents": sa.select(sa.func.count())
            .select_from(document)
            .where(document.c.author == author_id, document.c.gone_at.is_(None)),
            "clean_documents": sa.select(sa.func.count())
            .select_from(clean_document)
            .where(clean_document.c.author == author_id, clean_document.c.current, clean_document.c.excluded.is_(None)),
            "chunks": sa.select(sa.func.count()).select_from(chunk).where(chunk.c.author == author_id, chunk.c.current),
            "quarantined": sa.select(sa.func.count()).select_from(quarantine).where(quarantine.c.author == author_id),
        }
        with self.engine.connect() as session:
            return {name: session.scalar(statement) or 0 for name, statement in statements.items()}


class _Known:
    """The documents that a batch is about, found by the addresses they have, had, or can only share with an item."""

    def __init__(
        self,
        session: sa.Connection,
        author_id: str,
        source_id: str,
        items: Sequence[RawDocument | Unchanged],
        *,
        by_other_urls: bool,
    ) -> None:
        self._author_id = author_id
        urls = [item.url for item in items]
        others = sorted({url for item in items if isinstance(item, RawDocument) for url in (*item.also, *item.same)})
        permanent = sorted({*urls, *(url for item in items if isinstance(item, RawDocument) for url in item.same)})
        owner = source.alias("owner")
        columns = (
            document.c.id,
            document.c.url,
            document.c.former_urls,
            document.c.version_id,
            document.c.gone_at,
            document.c.source_id,
            owner.c.added_at,
        )
        query = (
            sa.select(*columns)
            .join(owner, owner.c.id == document.c.source_id, isouter=True)
            .where(document.c.author == author_id)
            .order_by(document.c.id)
        )
        is_named = document.c.url.in_(urls) | document.c.former_urls.overlap(urls)
        found = session.execute(query.where(is_named)).mappings().all()
        self._by_url = {row["url"]: dict(row) for row in found}
        self._by_former = {url: dict(row) for row in found for url in row["former_urls"]}
        self._by_other: dict[str, dict[str, Any]] = {}
        if by_other_urls and items:
            same = document_version.c.payload["same"]
            shared = (
                query.add_columns(same.label("same"))
                .join(document_version, document_version.c.id == document.c.version_id)
                .where(
                    document.c.source_id == source_id,
                    document.c.gone_at.is_(None),
                    document.c.url.in_(permanent) | same.has_any(sa.cast(permanent, ARRAY(sa.Text))),
                )
            )
            for row in session.execute(shared).mappings():
                for url in (row["url"], *(row["same"] or ())):
                    self._by_other.setdefault(url, dict(row))
        ids = {document_id(author_id, url) for url in (*urls, *others)} | {row["id"] for row in found}
        self._forgotten = set(
            session.scalars(
                sa.select(forgotten.c.document_id).where(
                    forgotten.c.author == author_id, forgotten.c.document_id.in_(ids)
                )
            )
        )

    def find(self, item: RawDocument | Unchanged) -> dict[str, Any] | None:
        """The document an item is about, or None where it is a new one."""
        found = self._by_url.get(item.url) or self._by_former.get(item.url)
        if found is None and isinstance(item, RawDocument):
            found = next((self._by_other[url] for url in (item.url, *item.same) if url in self._by_other), None)
        return found

    def is_forgotten(self, item: RawDocument | Unchanged) -> bool:
        """Whether the document was forgotten, under this address or under another of its own."""
        urls = (item.url, *item.also) if isinstance(item, RawDocument) else (item.url,)
        return any(document_id(self._author_id, url) in self._forgotten for url in urls)

    def addresses(self, item: RawDocument, before: Mapping[str, Any] | None) -> tuple[str, tuple[str, ...]]:
        """The URL a document has from now on, and those it had before."""
        if before is None or before["url"] == item.url:
            return item.url, tuple(before["former_urls"]) if before else ()
        if item.url in before["former_urls"]:
            return before["url"], tuple(before["former_urls"])
        return item.url, tuple(dict.fromkeys((*before["former_urls"], before["url"])))


def _storable(value: Any) -> Any:
    """``value`` as Postgres takes it: text without NUL and lone surrogates, mappings as JSONB."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return Jsonb({_storable(key): _plain(entry) for key, entry in value.items()})
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, Mapping):
        return {_plain(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
