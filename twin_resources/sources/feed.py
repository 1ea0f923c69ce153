"""Any RSS, Atom or JSON feed of the author's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar
from urllib.parse import urljoin, urlsplit

from twin_resources.errors import SourceError
from twin_resources.network.response import JSON, TEXT, XML, Response
from twin_resources.readers.feeds import Entry, FeedError, read_feed
from twin_resources.sources.base import Category, Item, Quarantined, RawDocument, Skipped
from twin_resources.sources.network import NetworkSource, site_hosts
from twin_resources.sources.registry import source
from twin_resources.text.urls import canonical_url

FEEDS = (*XML, *JSON, *TEXT, "text/html")
"""Feeds are served under all of these; what is none is found out by reading it."""


@source
class Feed(NetworkSource):
    """What a feed brings. It knows only what is new, so nothing is gone because it left the feed.

    An entry that carries its whole text is taken as it is, another one is read on its own page; ``follow: true`` reads
    all of them there. ``category`` is articles or posts. Entries with another author's name are skipped, unless
    ``any_author``.
    """

    kind: ClassVar[str] = "feed"
    platform: ClassVar[str] = "web"
    categories: ClassVar[tuple[Category, ...]] = ("articles", "posts")
    gives_way: ClassVar[bool] = True
    options_allowed: ClassVar[tuple[str, ...]] = ("follow", "category", "any_author", "hosts")

    def hosts(self) -> tuple[str, ...]:
        """The feed's own host, and those under ``hosts``."""
        return (*site_hosts(self.location, self.kind), *super().hosts())

    def read(self) -> Iterator[Item]:
        """Yield one item an entry.

        Raises:
            SourceError: the feed cannot be had or is none, or an option has no valid value.
        """
        category: Category = self.options.get("category", "articles")
        if category not in ("articles", "posts"):
            raise SourceError(f"{self.location}: category is articles or posts, not {category!r}")
        url = self.location if "://" in self.location else f"https://{self.location}"
        follow = self.flag("follow")
        known = self.memory.recall(url, self.reader)
        answer = self.client.get(url, known=known.validators if known else None, accept=FEEDS)
        if known and answer.unchanged:
            yield from known.items
            return
        items = []
        for entry in entries_of(self.need(answer), self.location):
            found = list(self._entry(entry, category, follow))
            items += found
            yield from found
        if not any(isinstance(item, Quarantined) for item in items):
            self.memory.note(url, items, self.reader, None, answer.validators)

    def _entry(self, entry: Entry, category: Category, follow: bool) -> Iterator[Item]:
        if entry.byline and not self.flag("any_author") and not self.author.is_named(entry.byline):
            yield Skipped(entry.url, "other_author", entry.byline)
            return
        if entry.html and not follow:
            yield from_entry(entry, self.platform, category)
            return
        marker = entry.updated_at.isoformat() if entry.updated_at else None
        yield from self.visit(
            entry.url, lambda answer: self.article(answer, category=category), marker=marker, recheck_days=30
        )


def entries_of(answer: Response, location: str) -> list[Entry]:
    """The entries of a feed that was asked for.

    Raises:
        SourceError: it is no feed.
    """
    try:
        return [replace(entry, url=_link(answer.url, entry.url)) for entry in read_feed(answer.content)]
    except FeedError as problem:
        raise SourceError(f"{location}: {problem}; open it in a browser, and name the address of the feed") from None


def _link(base: str, link: str) -> str:
    """The whole address of an entry; one that is none is marked, so that it is quarantined as such."""
    try:
        url = urljoin(base, link)
        urlsplit(url)
    except ValueError:
        return f"invalid:{link}"
    return url


def from_entry(entry: Entry, platform: str, category: Category, also: tuple[str, ...] = ()) -> Item:
    """The document that an entry carries whole."""
    try:
        url = canonical_url(entry.url)
    except ValueError as problem:
        return Quarantined(entry.url[:200], str(problem), "correct the link in the feed")
    if not url.startswith(("http://", "https://")):
        return Quarantined(entry.url[:200], "not a web address", "correct the link in the feed")
    return RawDocument(
        url=url,
        platform=platform,
        category=category,
        media_type="text/html",
        body=entry.html,
        title=entry.title,
        byline=entry.byline,
        published_at=entry.published_at,
        also=also,
        same=also,
    )
