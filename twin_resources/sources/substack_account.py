"""A Substack publication: the interface its own archive page uses, else its sitemap and pages."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from twin_resources.errors import SourceError
from twin_resources.network.browser import cookie_header
from twin_resources.network.errors import Unavailable
from twin_resources.network.response import JSON, XML, Response
from twin_resources.readers.feeds import FeedError, read_sitemap
from twin_resources.sources.base import Category, Item, Quarantined, RawDocument, Skipped, profile_of
from twin_resources.sources.feed import FEEDS, entries_of, from_entry
from twin_resources.sources.network import NetworkSource, Verdict, host_of, site_hosts
from twin_resources.sources.registry import source
from twin_resources.sources.substack import MIN_PODCAST_WORDS
from twin_resources.text.dates import utc_or_none
from twin_resources.text.markup import parse_html, text_of
from twin_resources.text.urls import canonical_url

_PROFILES = "https://substack.com/@"
_PAGE = 12
_MOST_PAGES = 500
_SPOKEN = ("podcast", "video")
_WHOLE_SHARE = 0.8
"""A body with less than this share of the words that Substack counted is a preview."""


@source
class SubstackAccount(NetworkSource):
    """The posts of one publication that are by this author, by the bylines that Substack states, and the author's bio,
    which stands in the archive beside them.

    Podcasts and videos without a text and threads are skipped. A post for paying readers comes as a preview and is
    quarantined, unless ``browser_state`` names a file that ``twin login substack`` saved; the publication's own export
    has it whole.
    """

    kind: ClassVar[str] = "substack"
    platform: ClassVar[str] = "substack"
    categories: ClassVar[tuple[Category, ...]] = ("articles", "posts")
    own_hosts: ClassVar[tuple[str, ...]] = ("substack.com",)
    options_allowed: ClassVar[tuple[str, ...]] = ("any_author", "browser_state", "recheck_days", "hosts")

    def hosts(self) -> tuple[str, ...]:
        """The publication's host, Substack's own, and those under ``hosts``."""
        return (*site_hosts(self.location, self.kind), *super().hosts())

    def read(self) -> Iterator[Item]:
        """Yield one item a post.

        Raises:
            SourceError: neither the archive nor the sitemap nor the feed of the publication can be had.
        """
        base = f"https://{host_of(self.location, self.kind)}"
        first = self.client.get(_archive(base, 0), accept=(*JSON, "text/html"))
        if first.ok and first.headers.get("content-type", "").startswith("application/json"):
            yield from self._by_archive(base, first)
        else:
            yield from self._by_pages(base)

    def confirm(self, url: str) -> Verdict:
        """A bio that two whole readings have not is gone, although its page is there; posts are asked for."""
        return "gone" if url.startswith(_PROFILES) else super().confirm(url)

    def remedy_for_wall(self) -> str:
        """Paying readers' posts are in the export."""
        return "add the publication's export (Settings, Export) as a substack_export"

    def _by_archive(self, base: str, answer: Response) -> Iterator[Item]:
        offset, seen, profile = 0, set(), None
        for _ in range(_MOST_PAGES):
            posts = answer.json()
            if not isinstance(posts, list):
                raise SourceError(f"{self.location}: the archive is no list; the next collection tries again")
            fresh = [post for post in posts if isinstance(post, dict) and post.get("slug") not in seen]
            if not fresh:
                if profile:
                    yield profile
                self.complete = not posts
                return
            for post in fresh:
                seen.add(post.get("slug"))
                profile = profile or self._profile(post)
                yield from self._post(base, post)
            offset += len(posts)
            answer = self.ask(_archive(base, offset), accept=JSON)
        raise SourceError(f"{self.location}: the archive has no end; the next collection tries again")

    def _profile(self, post: Mapping[str, Any]) -> Item | None:
        """The author's bio, as it stands in the byline of a post of theirs."""
        for byline in post.get("publishedBylines") or ():
            if isinstance(byline, dict) and self.author.is_named(str(byline.get("name"))) and byline.get("bio"):
                handle = byline.get("handle") or byline.get("id")
                address = canonical_url(f"{_PROFILES}{quote(str(handle))}") if handle else "substack:profile"
                return profile_of(self.platform, address, str(byline["bio"]), name="Substack")
        return None

    def _post(self, base: str, listed: Mapping[str, Any]) -> Iterator[Item]:
        slug = str(listed.get("slug") or "")
        item = f"{base}/p/{slug}"
        if not slug:
            yield Quarantined(f"{base}: a post without a slug", "Substack names no address", "look at it on Substack")
        elif left_out := self._left_out(listed):
            yield Skipped(item, *left_out)
        else:
            marker = listed.get("updated_at")
            yield from self.visit(
                f"{base}/api/v1/posts/{quote(slug)}",
                lambda answer: self._read_post(base, item, answer),
                marker=str(marker) if marker else None,
                accept=JSON,
                headers=self._as_subscriber(base) if _is_paid(listed) else None,
                recheck_days=self.number("recheck_days", 30),
            )

    def _as_subscriber(self, base: str) -> dict[str, str]:
        """The author's own session, for posts that only subscribers see whole."""
        named = self.options.get("browser_state")
        if not named:
            return {}
        jar = cookie_header(self.folder / Path(str(named)).expanduser(), base, time.time())
        return {"cookie": jar} if jar else {}

    def _left_out(self, post: Mapping[str, Any]) -> tuple[str, str] | None:
        kind = str(post.get("type") or "newsletter")
        words = post.get("wordcount")
        if kind == "thread" or kind not in ("newsletter", *_SPOKEN):
            return (kind, "") if kind in ("thread", "restack", "note") else ("unknown_type", kind[:40])
        if kind in _SPOKEN and isinstance(words, int) and words < MIN_PODCAST_WORDS:
            return kind, f"{words} words of text"
        names = [str(each.get("name")) for each in post.get("publishedBylines") or () if isinstance(each, dict)]
        if names and not self.flag("any_author") and not any(self.author.is_named(name) for name in names):
            return "other_author", ", ".join(names)[:120]
        return None

    def _read_post(self, base: str, item: str, answer: Response) -> Item:
        post = answer.json()
        if not isinstance(post, dict):
            return Quarantined(item, "the answer holds no post", "nothing to do: the next collection tries again")
        if left_out := self._left_out(post):
            return Skipped(item, *left_out)
        body = str(post.get("body_html") or "")
        counted = post.get("wordcount")
        try:
            words = len(text_of(parse_html(body)).split()) if body.strip() else 0
        except ValueError as problem:
            return Quarantined(item, str(problem), self.remedy_for_wall())
        if _is_paid(post) and (not words or (isinstance(counted, int) and words < math.floor(_WHOLE_SHARE * counted))):
            return Quarantined(item, f"for paying readers: {words} of {counted or '?'} words are there",
                               self.remedy_for_wall())  # fmt: skip
        if not words and "<img" not in body:
            return Skipped(item, "empty")
        names = [str(each.get("name")) for each in post.get("publishedBylines") or () if isinstance(each, dict)]
        own = next((name for name in names if self.author.is_named(name)), names[0] if names else None)
        url = canonical_url(str(post.get("canonical_url") or item))
        others = [canonical_url(item)]
        if post.get("id"):
            others.append(f"https://substack.com/home/post/p-{post['id']}")
        details = {"subtitle": post.get("subtitle"), "type": post.get("type"), "audience": post.get("audience"),
                   "authors": names if len(names) > 1 else None, "post_id": post.get("id")}  # fmt: skip
        return RawDocument(
            url=url,
            platform=self.platform,
            category="articles",
            media_type="text/html",
            body=body,
            title=" ".join(str(post.get("title") or "").split()) or None,
            byline=own,
            published_at=utc_or_none(str(post.get("post_date") or "")),
            also=tuple(dict.fromkeys(each for each in others if each != url)),
            same=tuple(others),
            extra={key: value for key, value in details.items() if value},
        )

    def _by_pages(self, base: str) -> Iterator[Item]:
        """The posts of the sitemap on their own pages; without a sitemap, what the feed has."""
        answer = self.client.get(f"{base}/sitemap.xml", accept=XML)
        if answer.ok:
            try:
                listed, more = read_sitemap(answer.content)
            except FeedError as problem:
                raise Unavailable(f"{base}/sitemap.xml: {problem}; the next collection tries again") from None
            for url in more:
                listed += read_sitemap(self.ask(url, accept=XML).content)[0]
            posts = [
                page for page in listed if self.client.allows(page.url) and urlsplit(page.url).path.startswith("/p/")
            ]
            moves = self.moved(page.url for page in posts)
            for page in sorted(posts, key=lambda page: page.url):
                also = (moves[page.url],) if page.url in moves else ()
                yield from self.visit(
                    page.url,
                    lambda answer, also=also: self.article(answer, also=also),
                    marker=page.lastmod,
                    recheck_days=self.number("recheck_days", 30),
                )
            self.complete = True
            return
        for entry in entries_of(self.ask(f"{base}/feed", accept=FEEDS), self.location):
            if entry.byline and not self.flag("any_author") and not self.author.is_named(entry.byline):
                yield Skipped(entry.url, "other_author", entry.byline)
            elif entry.html:
                yield from_entry(entry, self.platform, "articles")
            else:
                yield from self.visit(entry.url, self.article, recheck_days=self.number("recheck_days", 30))


def _is_paid(post: Mapping[str, Any]) -> bool:
    return str(post.get("audience") or "everyone") != "everyone"


def _archive(base: str, offset: int) -> str:
    return f"{base}/api/v1/archive?sort=new&offset={offset}&limit={_PAGE}"
