"""A Medium account: its feed for what is new, its profile page for everything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urljoin, urlsplit

from twin_resources.errors import SourceError
from twin_resources.network.browser import Browser, chromium, open_browser
from twin_resources.network.errors import RequestError
from twin_resources.network.response import Response
from twin_resources.readers.feeds import Entry
from twin_resources.readers.page import PageError
from twin_resources.sources.base import Category, Item, Quarantined, Skipped
from twin_resources.sources.feed import FEEDS, entries_of, from_entry
from twin_resources.sources.network import NetworkSource, is_login
from twin_resources.sources.registry import source
from twin_resources.text.urls import canonical_url

if TYPE_CHECKING:
    from playwright.sync_api import Page

_HANDLE = re.compile(r"(?:https://(?:www\.)?medium\.com/)?@?([A-Za-z0-9._-]{1,60})/?")
_OWN_HOST = re.compile(r"(?:https://)?([a-z0-9-]+)\.medium\.com/?")
_STORY = re.compile(r"(?:-|/p/|^/)([0-9a-f]{8,12})$")
_LINKS = "links => links.map(link => link.href)"


@source
class MediumAccount(NetworkSource):
    """The stories of one account.

    The feed has the ten newest stories. ``archive: true`` also scrolls through the profile page in a browser and reads
    each story on its own page. ``browser_state`` names a file that ``twin login medium`` saved, for stories that only
    members see whole. Pages are asked again after ``recheck_days`` (30) where Medium offers no cheaper way.
    """

    kind: ClassVar[str] = "medium"
    platform: ClassVar[str] = "medium"
    categories: ClassVar[tuple[Category, ...]] = ("articles",)
    own_hosts: ClassVar[tuple[str, ...]] = ("medium.com", "*.medium.com")
    options_allowed: ClassVar[tuple[str, ...]] = ("archive", "browser_state", "recheck_days", "any_author", "hosts")

    def __init__(self, location: str, author: Any, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(location, author, options)
        self._browsers = ExitStack()
        self._browser: Browser | None = None

    def wants(self, folder: Path) -> Iterator[tuple[bool, str, str]]:
        """A browser, for the archive."""
        if self.options.get("archive") and chromium() is None:
            yield True, "archive: true needs Chromium", "apt-get install chromium"
        yield from super().wants(folder)

    def read(self) -> Iterator[Item]:
        """Yield one item a story, of the feed or of the whole profile page.

        Raises:
            SourceError: the account or its feed cannot be had, or there is no browser for the archive.
        """
        profile, feed = _addresses(self.location)
        with self._browsers:
            entries = self._new(feed)
            if not self.flag("archive"):
                for entry in entries:
                    yield from self._entry(entry)
                return
            # Every story is read on its page, so that it does not change when it leaves the feed.
            stories, whole = self._scroll(profile)
            told = {_story(entry.url): entry.updated_at.isoformat() for entry in entries if entry.updated_at}
            known = {_story(url) for url in stories}
            stories += [canonical_url(entry.url) for entry in entries if _story(entry.url) not in known]
            for url in stories:
                yield from self._read(url, told.get(_story(url)))
            self.complete = whole

    def _new(self, feed: str) -> list[Entry]:
        """The entries of the feed. It is asked for whole: it is one page, and a story that left it is not gone."""
        answer = self.ask(feed, accept=FEEDS)
        return entries_of(answer, self.location)

    def _entry(self, entry: Entry) -> Iterator[Item]:
        if entry.byline and not self.flag("any_author") and not self.author.is_named(entry.byline):
            yield Skipped(entry.url, "other_author", entry.byline)
        elif entry.html:
            also = tuple(each for each in (_short(entry.url),) if each)
            yield from_entry(entry, self.platform, "articles", also)
        else:
            yield from self._read(canonical_url(entry.url), entry.updated_at and entry.updated_at.isoformat())

    def _read(self, url: str, marker: str | None = None) -> Iterator[Item]:
        yield from self.visit(url, self._read_story, marker=marker, recheck_days=self.number("recheck_days", 30))

    def _read_story(self, answer: Response) -> Item:
        short = _short(answer.url)
        item = self.article(answer, also=(short,) if short else ())
        if isinstance(item, Quarantined) and self.options.get("browser_state"):
            return self._as_member(answer, item)
        return item

    def _as_member(self, answer: Response, preview: Quarantined) -> Item:
        try:
            where, markup = self._signed_in().read(answer.url)
        except RequestError as problem:
            return Quarantined(answer.asked, str(problem), self.remedy_for_wall())
        if is_login(where):
            return Quarantined(answer.asked, "the saved browser state is not signed in any more", "twin login medium")
        short = _short(answer.url)
        whole = Response(answer.asked, where, 200, {"content-type": "text/html; charset=utf-8"}, markup.encode())
        try:
            item = self.article(whole, also=(short,) if short else ())
        except PageError as problem:
            return Quarantined(answer.asked, problem.reason, problem.remedy)
        return preview if isinstance(item, Quarantined) else item

    def _scroll(self, profile: str) -> tuple[list[str], bool]:
        """The stories that the profile page links to, and whether all of it was scrolled through."""
        found: dict[str, None] = {}

        def take(page: Page) -> int:
            if is_login(page.url):
                raise SourceError(f"{self.location}: the profile page leads to a login; twin login medium")
            for link in page.eval_on_selector_all("a[href]", _LINKS):
                if url := self._own_story(str(link), profile):
                    found.setdefault(url)
            return len(found)

        whole = self._signed_in().scroll(profile, take)
        return list(found), whole

    def _own_story(self, link: str, profile: str) -> str | None:
        """The address of a story, if ``link`` leads to one that this source may ask for."""
        try:
            url = canonical_url(urljoin(profile, link))
        except ValueError:
            return None
        path = urlsplit(url).path
        if not _STORY.search(path) or not self.client.allows(url):
            return None
        handle = re.match(r"/(@[^/]+)/", path)
        mine = urlsplit(profile).path.strip("/")
        return None if handle and mine.startswith("@") and handle.group(1).lower() != mine.lower() else url

    def _signed_in(self) -> Browser:
        if self._browser is None:
            named = self.options.get("browser_state")
            state = (self.folder / Path(str(named)).expanduser()) if named else None
            self._browser = self._browsers.enter_context(open_browser(self.client, state))
        return self._browser


def _addresses(location: str) -> tuple[str, str]:
    """The profile page and the feed of an account."""
    if match := _OWN_HOST.fullmatch(location.lower()):
        host = f"https://{match.group(1)}.medium.com"
        return f"{host}/", f"{host}/feed"
    if match := _HANDLE.fullmatch(location):
        handle = f"@{match.group(1)}"
        return f"https://medium.com/{handle}", f"https://medium.com/feed/{handle}"
    raise SourceError(f'medium: write your handle as it stands in your profile\'s address, "@me", not {location!r}')


def _story(url: str) -> str | None:
    """The id that a story keeps whatever its address is."""
    match = _STORY.search(urlsplit(url).path)
    return match.group(1) if match else None


def _short(url: str) -> str | None:
    identifier = _story(url)
    return f"https://medium.com/p/{identifier}" if identifier else None
