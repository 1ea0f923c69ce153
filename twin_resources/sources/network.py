"""Collecting over the network: what is remembered between two readings of a source, and what all such sources share.

A source lists what there is and visits each address through :meth:`NetworkSource.visit`. What came of a visit is stored
in the same transaction as its documents, so a crawl that is interrupted goes on where it stopped, and one that
finds nothing new fetches no document again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol
from urllib.parse import urlsplit

from twin_resources.errors import SourceError
from twin_resources.network.addresses import ascii_host, shown
from twin_resources.network.browser import read_state
from twin_resources.network.client import HttpClient
from twin_resources.network.errors import Refused, Unavailable
from twin_resources.network.response import HTML, Response, Validators
from twin_resources.readers.extraction import Extraction, FetchedPage
from twin_resources.readers.page import PageError
from twin_resources.sources.base import Author, Category, Item, Quarantined, RawDocument, Skipped, Source, Unchanged
from twin_resources.text.identity import content_id
from twin_resources.text.urls import canonical_url

Verdict = Literal["gone", "there", "unknown"]
_LOGIN = re.compile(r"/(?:login|log-in|signin|sign-in|authwall|uas/login|checkpoint|m/signin)\b", re.IGNORECASE)
_FAILURES = 3
_LOOKED_AFTER = 20


@dataclass(frozen=True)
class Visit:
    """What is remembered of one address; ``items`` say again what it held, each document as :class:`Unchanged`."""

    marker: str | None
    validators: Validators
    items: tuple[Item, ...]
    days: float
    """How long ago it was read."""


class VisitMemory(Protocol):
    """What earlier readings of a source left to the next one; kept by :mod:`twin_resources.storage.addresses`.

    ``cursor`` is what the source itself wants to remember (JSON); it is saved when a reading has ended well.
    """

    cursor: dict[str, Any]

    def recall(self, url: str, reader: str) -> Visit | None:
        """What is known of ``url``; None where it has to be read anew: unknown, read by other code, or gone since."""
        ...

    def note(self, url: str, items: Iterable[Item], reader: str, marker: str | None, validators: Validators) -> None:
        """Remember what a visit gave; written together with the next batch of documents."""
        ...

    def visited(self, reader: str) -> dict[str, str]:
        """Addresses whose document is still held, with the URL of that document."""
        ...


class NetworkSource(Source):
    """A source that is read over the network.

    Subclasses name ``hosts`` and implement :meth:`read` with ``self.client`` and ``self.memory``, which
    :meth:`connect` brings. ``read`` sets ``complete`` when it has seen all there is;
    only then may something be missing.
    """

    format: ClassVar[str] = ""
    code_version: ClassVar[str] = "1"
    """Raise it when the source would now decide differently what is a document and whose; then every page is fetched
    again once. What is read out of a page has a version of its own, for which nothing is fetched
    (:data:`twin_resources.readers.extraction.EXTRACTOR`)."""
    deciding: ClassVar[tuple[str, ...]] = ("any_author", "category", "follow", "only_own")
    """Options that decide what comes of a page; a changed one, as a new alias, has every page read again once."""
    own_hosts: ClassVar[tuple[str, ...]] = ()
    gives_way: ClassVar[bool] = False
    """Whether a document that another source has stays with that one, which can tell when it is gone."""
    apis: ClassVar[tuple[str, ...]] = ()
    credential: ClassVar[str | None] = None
    """The environment variable that holds the author's token, where this source takes one."""
    credential_help: ClassVar[str] = ""

    def __init__(self, location: str, author: Author, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(location, author, options)
        self.complete = False
        self.fetched = 0
        decided = [(key, self.options.get(key)) for key in self.deciding]
        self.reader = content_id(self.code_version, decided, author.name, sorted(author.aliases))
        self._client: HttpClient | None = None
        self._memory: VisitMemory | None = None
        self.troubled = False
        self.unread: set[str] = set()
        """Addresses of this reading that could not be read: what stands there is not gone."""
        self.folder = Path.cwd()
        self._failed_in_a_row = 0

    @classmethod
    def locate(cls, location: str, folder: Path) -> tuple[str, str]:
        """A name or an address stays as it is written."""
        return cls.kind, location.strip()

    def hosts(self) -> tuple[str, ...]:
        """The only hosts that are asked: the platform's own and those that the author names under ``hosts``."""
        return (*self.own_hosts, *self.texts("hosts"))

    def secrets(self) -> Mapping[str, Mapping[str, str]]:
        """Headers that carry the author's credential, by the host they are for."""
        return {}

    def token(self) -> str | None:
        """The author's token, from the environment; never stored anywhere."""
        value = os.environ.get(self.credential or "", "").strip()
        return value or None

    def wants(self, folder: Path) -> Iterator[tuple[bool, str, str]]:
        """What is missing before this source can be read: whether it cannot do without, the finding, the remedy."""
        if self.credential and not self.token():
            yield True, f"{self.credential} is not set", self.credential_help
        if named := self.options.get("browser_state"):
            try:
                read_state(folder / Path(str(named)).expanduser())
            except SourceError as problem:
                yield True, str(problem), f"twin login {self.platform}"

    def connect(self, client: HttpClient, memory: VisitMemory, folder: Path) -> None:
        """Bring the HTTP client, what is remembered, and the folder that options start paths from."""
        self._client, self._memory, self.folder = client, memory, folder

    @property
    def client(self) -> HttpClient:
        """The HTTP client."""
        if self._client is None:
            raise SourceError(f"{self.kind}: {self.location} is collected by `twin run`, not imported")
        return self._client

    @property
    def memory(self) -> VisitMemory:
        """What earlier readings left."""
        if self._memory is None:
            raise SourceError(f"{self.kind}: {self.location} is collected by `twin run`, not imported")
        return self._memory

    def ask(self, url: str, *, accept: Iterable[str] = (), headers: Mapping[str, str] | None = None) -> Response:
        """The answer to a list or an interface, without which there is nothing to read.

        Raises:
            SourceError: it is not to be had; says why and what to do.
        """
        return self.need(self.client.get(url, accept=accept, headers=headers))

    def need(self, answer: Response) -> Response:
        """``answer``, if it is of use.

        Raises:
            SourceError: it is none; says why and what to do.
        """
        if not answer.ok or is_login(answer.url):
            where = f"{self.kind} {self.location}: {shown(answer.asked)}"
            raise SourceError(f"{where}: {_wall(answer)}; {self.remedy_for(answer)}")
        return answer

    def remedy_for(self, answer: Response) -> str:
        """What to do about an answer that is no use."""
        if answer.status in (401, 403) or is_login(answer.url):
            return self.credential_help or self.remedy_for_wall()
        return "check the location in twin.yaml" if answer.status in (404, 410) else "the next collection tries again"

    def visit(
        self,
        url: str,
        read: Callable[[Response], Item | Iterable[Item]],
        *,
        marker: str | None = None,
        accept: Iterable[str] = HTML,
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
        recheck_days: int = 0,
    ) -> Iterator[Item]:
        """What stands at ``url``: from memory while ``marker`` or the host says it is unchanged, else by ``read``.

        A host that gives no way to ask for changes only is asked again after ``recheck_days``.

        A page that cannot be had is quarantined and tried again next time; three in a row end the reading.

        Raises:
            SourceError: the host does not answer any more.
        """
        known = self.memory.recall(url, self.reader)
        if known and marker and known.marker == marker:
            yield from known.items
            return
        if known and not marker and not known.validators.headers() and known.days < recheck_days:
            yield from known.items
            return
        conditions = known.validators if known else None
        try:
            answer = self.client.get(url, known=conditions, accept=accept, headers=headers, max_bytes=max_bytes)
        except Unavailable as problem:
            self._failed_in_a_row += 1
            self.troubled = True  # so nothing may count as missing
            if self._failed_in_a_row >= _FAILURES:
                raise
            yield Quarantined(url, str(problem), "nothing to do: the next collection tries again")
            return
        except Refused as problem:
            self.unread.add(canonical_url(url))
            yield Quarantined(url, str(problem), "name the host under `hosts:` of the source, or use the export")
            return
        self._failed_in_a_row = 0
        if answer.unchanged and known:
            if known.marker != marker:
                self.memory.note(url, known.items, self.reader, marker, known.validators)
            yield from known.items
            return
        if answer.status in (404, 410):
            yield Skipped(url, "not_there", f"HTTP {answer.status}")
            return
        if not answer.ok or is_login(answer.url):
            self.troubled = True  # the platform shows less than there is
            yield Quarantined(url, _wall(answer), self.remedy_for_wall())
            return
        self.fetched += 1
        try:
            found = read(answer)
            items = (found,) if isinstance(found, RawDocument | Skipped | Quarantined | Unchanged) else tuple(found)
        except PageError as problem:
            items = (Quarantined(url, problem.reason, problem.remedy),)
        if any(isinstance(item, Quarantined) for item in items):
            self.unread.update(canonical_url(each) for each in (url, answer.url))
        if not (len(items) == 1 and isinstance(items[0], Quarantined)):
            self.memory.note(url, items, self.reader, marker, answer.validators)
        yield from items

    def article(self, answer: Response, *, also: Iterable[str] = (), category: Category = "articles") -> Item:
        """The article on a page, if it is this author's and all of it is there.

        Raises:
            PageError: nothing readable is on it.
        """
        fetched = FetchedPage(answer.url if answer.moved else answer.asked, answer.content_type, answer.content)
        page = fetched.read()
        if page.gated:
            return Quarantined(answer.asked, "only a preview is there, the rest is for members", self.remedy_for_wall())
        if page.byline and not self.options.get("any_author") and not self.author.is_named(page.byline):
            return Skipped(answer.asked, "other_author", page.byline)
        here = canonical_url(fetched.url)
        # A canonical link that leads to the front page is a mistake of the site's; it would make all pages one.
        url = canonical_url(page.url) if urlsplit(page.url).path not in ("", "/") else here
        same = tuple(dict.fromkeys(canonical_url(each) for each in (*also, answer.asked, answer.url)))
        found = Extraction.of(page)
        return RawDocument(
            url=url,
            platform=self.platform,
            category=category,
            media_type="text/html",
            body=found.body,
            title=found.title,
            byline=found.byline,
            published_at=found.published_at,
            also=found.others(url, same),
            same=same,
            extra=found.extra,
            page=fetched,
        )

    def moved(self, listed: Iterable[str]) -> dict[str, str]:
        """Which of the new addresses in ``listed`` stand where a vanished one redirects to: new address to old URL.

        Only asked while something vanished and something is new, and for a few at most.
        """
        listed = set(listed)
        before = self.memory.visited(self.reader)
        fresh = listed - set(before)
        vanished = sorted(set(before) - listed)
        found: dict[str, str] = {}
        if not fresh or len(vanished) > _LOOKED_AFTER:
            return found
        for url in vanished:
            try:
                answer = self.client.get(url, accept=HTML)
            except (Refused, Unavailable):
                continue
            if answer.ok and answer.url in fresh:
                found[answer.url] = before[url]
        return found

    def confirm(self, url: str) -> Verdict:
        """Whether a document that the lists do not show any more is gone, by its own address."""
        if urlsplit(url).scheme not in ("http", "https") or not self.client.allows(url):
            return "gone"
        try:
            answer = self.client.get(url)
        except (Refused, Unavailable):
            return "unknown"
        if answer.status in (404, 410):
            return "gone"
        if not answer.ok or is_login(answer.url):
            return "unknown"
        if canonical_url(answer.url) == canonical_url(url):
            return "there"
        return "unknown" if canonical_url(answer.url) in self.unread else "gone"

    def remedy_for_wall(self) -> str:
        """What the author can do where the platform wants a login."""
        return "use the platform's export, or name a saved browser state under `browser_state:` (twin login)"

    def texts(self, key: str) -> tuple[str, ...]:
        """An option that is one text or a list of texts.

        Raises:
            SourceError: it is something else.
        """
        value = self.options.get(key, ())
        values = (value,) if isinstance(value, str) else value
        if not isinstance(values, list | tuple) or not all(isinstance(each, str) for each in values):
            raise SourceError(f"{self.kind}: {key} is a text or a list of texts, not {value!r}")
        return tuple(values)

    def number(self, key: str, default: int) -> int:
        """An option that is a number from 0.

        Raises:
            SourceError: it is something else.
        """
        value = self.options.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise SourceError(f"{self.kind}: {key} is a number, not {value!r}")
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        """An option that is true or false.

        Raises:
            SourceError: it is something else.
        """
        value = self.options.get(key, default)
        if not isinstance(value, bool):
            raise SourceError(f"{self.kind}: {key} is true or false, not {value!r}")
        return value


def is_login(url: str) -> bool:
    """Whether an address is a platform's page to log in."""
    return _LOGIN.search(urlsplit(url).path) is not None


def host_of(location: str, kind: str) -> str:
    """The host in ``me.substack.com`` or ``https://me.substack.com/…``.

    Raises:
        SourceError: there is none.
    """
    try:
        parts = urlsplit(location if "://" in location else f"https://{location}")
        host = ascii_host(parts.hostname or "")
    except ValueError:
        host = ""
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", host):
        raise SourceError(f"{kind}: write an address such as me.example or https://me.example, not {location!r}")
    return host


def site_hosts(location: str, kind: str) -> tuple[str, ...]:
    """The host of a site with and without ``www.``, which belong to one owner.

    Raises:
        SourceError: ``location`` names no host.
    """
    host = host_of(location, kind)
    return host, host.removeprefix("www.") if host.startswith("www.") else f"www.{host}"


def _wall(answer: Response) -> str:
    if is_login(answer.url):
        return f"leads to a page to log in ({shown(answer.url)})"
    return f"HTTP {answer.status}"
