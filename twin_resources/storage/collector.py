"""Collecting: what a source yields becomes documents and versions, and what it does not show any more is gone.

Nothing is overwritten: a changed document gets a new version and the pointer moves. It makes no difference whether a
raw asset, ``twin import`` or ``POST /documents`` reads the source.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from twin_resources.database.schema import source
from twin_resources.errors import SourceError
from twin_resources.readers import extraction
from twin_resources.readers.extraction import Extraction
from twin_resources.readers.page import PageError
from twin_resources.sources.base import Item, Quarantined, RawDocument, Skipped, Unchanged
from twin_resources.sources.network import NetworkSource
from twin_resources.storage.addresses import Addresses, StoredDocument, Visits, addresses_of
from twin_resources.storage.documents import Documents, Head, Seen, StoredPage, Version
from twin_resources.storage.sources import Sources, lock_author
from twin_resources.text.identity import content_id, document_id

_BATCH = 500
_SMALL_BATCH = 5
"""What an interrupted crawl may lose; each of its pages costs a second or more."""
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
class Crawl:
    """A reading over the network: the source that is read, and what is remembered of its addresses."""

    source: NetworkSource
    visits: Visits


@dataclass
class _Changes:
    """The rows that a batch adds or moves."""

    heads: list[Head] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)
    pages: list[StoredPage] = field(default_factory=list)


class Collector:
    """Stores what sources yield."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.sources = Sources(engine)
        self.documents = Documents(engine)

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
        crawl: Crawl | None = None,
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
        reading = _Reading(self, author_id, source_id, origin, CollectReport(name), crawl)
        try:
            for batch in _batches(items, _BATCH if crawl is None else _SMALL_BATCH):
                reading.take(batch)
                if progress:
                    progress(reading.report.found)
        finally:
            reading.count()
        if crawl is not None:
            complete = crawl.source.complete and not crawl.source.troubled
        reading.end(complete=complete, accept_removals=accept_removals)
        return reading.report


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Items in batches; those that came before an error are given before it is raised."""
    remaining = iter(items)
    failure: SourceError | None = None
    while failure is None:
        batch: list[Item] = []
        try:
            for item in itertools.islice(remaining, size):
                batch.append(item)
        except SourceError as error:
            failure = error
        if not batch and failure is None:
            return
        yield batch
    raise failure


class _Reading:
    """One reading of one source."""

    def __init__(
        self,
        collector: Collector,
        author_id: str,
        source_id: str,
        origin: str,
        report: CollectReport,
        crawl: Crawl | None,
    ) -> None:
        self.collector = collector
        self.author_id = author_id
        self.source_id = source_id
        self.origin = origin
        self.report = report
        self.crawl = crawl
        self.seen = Seen()
        self._started = time.monotonic()

    def count(self) -> None:
        """Bring time and requests in the report up to date."""
        self.report.seconds = time.monotonic() - self._started
        if self.crawl is not None:
            self.report.fetched = self.crawl.source.fetched
            self.report.requests = self.crawl.source.client.requests

    def take(self, batch: Sequence[Item]) -> None:
        """Count a batch and store its documents, in one transaction with the visits that gave them."""
        self.report.found += len(batch)
        stored: list[RawDocument | Unchanged] = []
        for item in batch:
            if isinstance(item, Skipped):
                self.report.skipped[item.reason] += 1
            elif isinstance(item, Quarantined):
                self.report.quarantined.append(item)
            else:
                stored.append(item)
        if not stored and self.crawl is None:
            return
        with self.collector.engine.begin() as session:
            lock_author(session, self.author_id)
            changes = self._changes(session, stored)
            self.collector.documents.add(session, changes.heads, changes.versions)
            self.collector.documents.add_pages(session, changes.pages)
            if self.crawl is not None:
                self.crawl.visits.write(session)

    def _changes(self, session: sa.Connection, items: Sequence[RawDocument | Unchanged]) -> _Changes:
        """What a batch changes; everything else of it is counted."""
        now = datetime.now(UTC)
        known = Addresses(session, self.author_id, self.source_id, items, by_other_urls=self.crawl is not None)
        added_at = session.scalar(sa.select(source.c.added_at).where(source.c.id == self.source_id))
        if added_at is None:
            raise SourceError(
                f"{self.report.source}: the source was dropped while it was read; read it again if that was not meant"
            )
        changes = _Changes()
        for item in items:
            before = known.find(item)
            key = before.id if before else document_id(self.author_id, item.url)
            if known.is_forgotten(item):
                self.report.skipped["forgotten"] += 1
                continue
            if key in self.seen:
                self.report.skipped["same_url_twice"] += 1
                continue
            self.seen.add(key)
            if isinstance(item, Unchanged):
                self.report.unchanged += 1
            elif before and (reason := self._left_to_another(before, added_at)):
                self.report.skipped[reason] += 1
            else:
                self._change(session, item, key, before, now, changes)
        return changes

    def _left_to_another(self, before: StoredDocument, added_at: datetime) -> str | None:
        """Why a document stays with the source that provides it, or None."""
        if not before.provided_by_another(self.source_id):
            return None
        if (before.source_added_at, before.source_id) > (added_at, self.source_id):  # pyright: ignore[reportOperatorIssue]
            return "in_a_newer_source"
        return "in_another_source" if self.crawl is not None and self.crawl.source.gives_way else None

    def _change(
        self,
        session: sa.Connection,
        item: RawDocument,
        key: str,
        before: StoredDocument | None,
        now: datetime,
        changes: _Changes,
    ) -> None:
        """Add the rows of a document that is new, changed, now provided by this source or only now has its page."""
        url, former = addresses_of(item, before)
        item = replace(item, url=url, also=tuple(dict.fromkeys((*item.also, *former))))
        digest = _content_hash(item)
        version_id, has_page = self._version(session, item, before, content_id("version", key, digest))
        if before is None or before.gone_at is not None:
            self.report.new += 1
        elif before.version_id != version_id:
            self.report.changed += 1
        else:
            self.report.unchanged += 1
            if before.source_id == self.source_id and has_page:
                return
        payload = {"also": list(item.also), **dict(item.extra)}
        if item.same:
            payload["same"] = list(item.same)
        head = Head(
            key, self.author_id, url, self.origin, self.source_id, item.platform, item.category, version_id, former
        )
        version = Version(
            id=version_id,
            document_id=key,
            content_hash=digest,
            title=item.title,
            byline=item.byline,
            media_type=item.media_type,
            body=item.body,
            published_at=item.published_at,
            payload=payload,
            fetched_at=now,
        )
        changes.heads.append(head)
        changes.versions.append(version)
        if item.page is not None:
            changes.pages.append(StoredPage.of(item.page, version, extraction.EXTRACTOR))

    def _version(
        self, session: sa.Connection, item: RawDocument, before: StoredDocument | None, made: str
    ) -> tuple[str, bool]:
        """The id of the version that an item is, and whether its page is stored, where it has one.

        A page is compared as the extractor of today reads both, the stored one and the new one: neither a better
        extractor nor a page that is built anew for every visit makes a new version.

        Args:
            made: the id by what the item holds.
        """
        held = before.version_id if before else None
        if item.page is None or held is None:
            return made, item.page is None
        readers = self.collector.documents.page_readers(session, (held, made))
        today = extraction.EXTRACTOR
        if held in readers and ((held == made and readers[held] == today) or self._reads_alike(session, held, item)):
            return held, True
        if readers.get(made, today) != today:
            # Another page read the same by an earlier extractor, and may be read differently today.
            made = content_id(made, today)
        return made, made in readers

    def _reads_alike(self, session: sa.Connection, version_id: str, item: RawDocument) -> bool:
        """Whether the stored page of a version gives what the new page of an item gave."""
        held = self.collector.documents.page(session, version_id)
        try:
            found = Extraction.of(held.page.fetched().read())
        except PageError:
            return False
        before = (held.document_url, found.title, found.byline, found.body, found.published_at)
        if before != (item.url, item.title, item.byline, item.body, item.published_at):
            return False
        also = found.others(item.url, (*held.payload.get("same", ()), *held.former_urls))
        return set(also) == set(item.also) - {item.url}

    def end(self, *, complete: bool, accept_removals: bool) -> None:
        """Decide what is gone, and record the reading with the source."""
        confirmed = self._confirmed(self.crawl.source) if self.crawl is not None and complete else None
        if self.crawl is not None:
            self.count()
        report, sources = self.report, self.collector.sources
        with self.collector.engine.begin() as session:
            if complete:
                vanished = self.collector.documents.mark_gone(
                    session,
                    self.source_id,
                    self.seen,
                    accept=accept_removals,
                    confirmed=confirmed,
                    unread=[item.item for item in report.quarantined],
                )
                report.gone, report.absent, report.missing = vanished.gone, vanished.absent, vanished.kept
            sources.set_quarantine(session, self.author_id, self.source_id, report.quarantined)
            if self.crawl is not None:
                self.crawl.visits.write_cursor(session)
            sources.record_reading(session, self.source_id, report.as_dict())

    def _confirmed(self, crawled: NetworkSource) -> set[str]:
        """Which documents that are missing for the second time are gone by their own address."""
        missing = self.collector.documents.missing_again(self.source_id, self.seen, _MOST_CONFIRMED)
        return {key for key, url in missing if crawled.confirm(url) == "gone"}


def _content_hash(item: RawDocument) -> str:
    published = item.published_at and item.published_at.isoformat()
    return content_id(item.title, item.byline, item.media_type, item.body, published, item.also)
