"""Any website of the author's, by its sitemap."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import urljoin, urlsplit

from twin_resources.errors import SourceError
from twin_resources.network.addresses import shown
from twin_resources.network.errors import Unavailable
from twin_resources.network.response import PACKED, TEXT, XML, Response
from twin_resources.readers.archives import matches, patterns_of
from twin_resources.readers.feeds import FeedError, Listed, read_sitemap
from twin_resources.readers.page import PageError
from twin_resources.sources.base import Category, Item, Skipped
from twin_resources.sources.network import NetworkSource, site_hosts
from twin_resources.sources.registry import source

_SITEMAPS = 50
_LISTS = (*XML, *PACKED, *TEXT)


@source
class Website(NetworkSource):
    """The articles that a site's sitemap lists: the one named, those of robots.txt, or ``/sitemap.xml``.

    ``include`` and ``exclude`` are globs over the path (``blog/*``); ``max_pages`` (500) bounds a reading. A page
    without an article is skipped. ``lastmod`` decides what is read again.
    """

    kind: ClassVar[str] = "website"
    platform: ClassVar[str] = "web"
    categories: ClassVar[tuple[Category, ...]] = ("articles", "posts")
    options_allowed: ClassVar[tuple[str, ...]] = (
        "include", "exclude", "max_pages", "category", "any_author", "recheck_days", "hosts",
    )  # fmt: skip

    def hosts(self) -> tuple[str, ...]:
        """The site's own host, and those under ``hosts``."""
        return (*site_hosts(self.location, self.kind), *super().hosts())

    def read(self) -> Iterator[Item]:
        """Yield one item a listed page.

        Raises:
            SourceError: there is no sitemap to be had, or an option has no valid value.
        """
        include, exclude = patterns_of(self.options, "include"), patterns_of(self.options, "exclude")
        category: Category = self.options.get("category", "articles")
        if category not in ("articles", "posts"):
            raise SourceError(f"{self.location}: category is articles or posts, not {category!r}")
        most, recheck = self.number("max_pages", 500), self.number("recheck_days", 30)
        listed = {page.url: page for page in self._pages()}
        wanted: list[Listed] = []
        whole = True
        for page in sorted(listed.values(), key=lambda page: page.url):
            if not self.client.allows(page.url):
                yield Skipped(page.url, "other_host")
                continue
            path = urlsplit(page.url).path.strip("/")
            if not path or matches(path, exclude) or (include and not matches(path, include)):
                yield Skipped(page.url, "excluded")
            elif len(wanted) >= most:
                whole = False
                yield Skipped(page.url, "too_many", f"max_pages is {most}")
            else:
                wanted.append(page)
        moves = self.moved(page.url for page in wanted)
        for page in wanted:
            also = (moves[page.url],) if page.url in moves else ()
            yield from self.visit(
                page.url,
                lambda answer, also=also: self._article(answer, category, also),
                marker=_marker(page.lastmod),
                recheck_days=recheck,
            )
        self.complete = whole

    def _article(self, answer: Response, category: Category, also: tuple[str, ...]) -> Item:
        try:
            return self.article(answer, also=also, category=category)
        except PageError as problem:
            return Skipped(answer.asked, "no_article", problem.reason)

    def _pages(self) -> Iterator[Listed]:
        """The lines of all sitemaps; one that cannot be had ends the reading, since its pages would seem missing."""
        at = self.location if "://" in self.location else f"https://{self.location}"
        if urlsplit(at).path.endswith((".xml", ".gz")):
            waiting = [at]
        else:
            waiting = self.client.robots_sitemaps(at) or [urljoin(at, "/sitemap.xml")]
        done: set[str] = set()
        while waiting:
            url = waiting.pop(0)
            if url in done:
                continue
            done.add(url)
            if len(done) > _SITEMAPS:
                raise SourceError(f"{self.location}: more than {_SITEMAPS} sitemaps; name the one with the articles")
            answer = self.ask(url, accept=_LISTS)
            try:
                pages, more = read_sitemap(answer.content)
            except FeedError as problem:
                raise Unavailable(f"{shown(url)}: {problem}; name the address of the sitemap") from None
            yield from pages
            waiting += more


def _marker(lastmod: str | None) -> str | None:
    """``lastmod`` as it tells one version from the next: the date of today alone does not, the day is not over."""
    today = datetime.now(UTC).date().isoformat()
    return f"{lastmod}, seen that day" if lastmod == today else lastmod
