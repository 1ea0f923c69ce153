"""Where an author's work comes from: what a source is, and what it yields.

A source reads one location (an export, a folder, a repository) and yields one :data:`Item` for everything it saw:
a document, something left out with a reason, or something unreadable with a remedy. Nothing is dropped in silence, so
``found == documents + skipped + quarantined`` always holds.

A new platform is one new module in this folder with a class decorated by
:func:`~twin_resources.sources.registry.source`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

from twin_resources.errors import SourceError
from twin_resources.readers.extraction import FetchedPage

Category = Literal["articles", "posts", "code"]
MediaType = Literal["text/html", "text/markdown", "text/plain", "text/x-code"]

CATEGORIES: tuple[Category, ...] = ("articles", "posts", "code")


@dataclass(frozen=True)
class Author:
    """The person whose work is collected; ``aliases`` are other names the platforms print for them."""

    id: str
    name: str
    aliases: tuple[str, ...] = ()

    def is_named(self, byline: str) -> bool:
        """Whether ``byline`` is this author's name or one of the aliases, ignoring case and spacing."""
        names = {" ".join(name.casefold().split()) for name in (self.name, *self.aliases)}
        return " ".join(byline.casefold().split()) in names


@dataclass(frozen=True)
class RawDocument:
    """One document exactly as the platform gave it; cleaning happens later, in the graph.

    ``url`` is the canonical URL and, with the author, the document's identity. ``body`` is the untouched source text
    in ``media_type``. ``published_at`` is timezone-aware UTC. ``also`` holds other URLs of the same document.
    ``extra`` is JSON-serialisable platform metadata (path and language of code, audience of a newsletter). ``same`` are
    addresses that can only be this very document, such as the platform's permanent link: what had one of them before
    is this document under its former URL. ``page`` is the web page that title, byline, body and date were read from,
    which is stored with them; None where the platform itself hands out the body.
    """

    url: str
    platform: str
    category: Category
    media_type: MediaType
    body: str
    title: str | None = None
    byline: str | None = None
    published_at: datetime | None = None
    also: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    same: tuple[str, ...] = ()
    page: FetchedPage | None = None


@dataclass(frozen=True)
class Skipped:
    """Something that is readable but not a document of the author: ``reason`` is a short slug such as ``draft``."""

    item: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Quarantined:
    """Something that could not be read: ``item`` names file and entry, ``remedy`` says what the author can do."""

    item: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class Unchanged:
    """A document that is still there with the content that was stored, so it was not fetched again."""

    url: str


Item = RawDocument | Skipped | Quarantined | Unchanged


PROFILE = "profile"
"""The key of ``extra`` that marks what the author says of themselves on a platform."""


def profile_of(
    platform: str, url: str, text: str, *, name: str, media_type: MediaType = "text/plain"
) -> RawDocument | Skipped:
    """What the author says of themselves on a platform, as a post of its own that answers who they are.

    Args:
        url: where it stands, or a name for it that is the same in every reading.
        name: the platform's, as it is written.
    """
    if not text.strip():
        return Skipped(url, "empty_profile")
    return RawDocument(
        url=url,
        platform=platform,
        category="posts",
        media_type=media_type,
        body=text,
        title=f"Profile on {name}",
        extra={PROFILE: True},
    )


class Source:
    """Reads one location. Subclasses set the class variables and implement :meth:`read` and :meth:`recognises`.

    ``kind`` is the key used in ``twin.yaml`` (``medium_export``); ``platform`` the raw asset the documents belong to.
    ``options`` are the remaining keys of the entry in ``twin.yaml``.
    """

    kind: ClassVar[str]
    platform: ClassVar[str]
    categories: ClassVar[tuple[Category, ...]] = CATEGORIES
    """What its documents can be; the raw asset leads to the cleaning of these only."""
    format: ClassVar[str]
    """The name in ``twin import --format``; empty for what is not imported from a file."""
    options_allowed: ClassVar[tuple[str, ...]] = ()
    watched: ClassVar[bool] = False
    """Whether :meth:`fingerprint` tells cheaply that something new lies there."""
    priority: ClassVar[int] = 0
    """Which source :func:`detect` asks first: the higher, the sooner; a general format goes below zero."""

    def __init__(self, location: str, author: Author, options: Mapping[str, Any] | None = None) -> None:
        self.location = location
        self.author = author
        self.options = dict(options or {})
        unknown = sorted(set(self.options) - set(self.options_allowed))
        if unknown:
            allowed = ", ".join(self.options_allowed) or "none"
            raise SourceError(f"{self.kind}: unknown option {unknown[0]!r}; options of this source: {allowed}")

    def read(self) -> Iterator[Item]:
        """Yield every item of the location, in a stable order.

        Raises:
            SourceError: the location is missing or is not of this format at all.
        """
        raise NotImplementedError

    def is_there(self) -> bool:
        """Whether something lies at the location, as far as that can be told without asking the network."""
        return not self.location.startswith("/") or Path(self.location).exists()

    def fingerprint(self) -> str:
        """A text that changes when there is something new to read, for sources that are ``watched``.

        Raises:
            SourceError: the location cannot be looked at.
        """
        raise NotImplementedError

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether ``path`` (a file or folder) looks like this source; used by ``twin import --format auto``."""
        return False

    @classmethod
    def locate(cls, location: str, folder: Path) -> tuple[str, str]:
        """The kind and location that an entry of ``twin.yaml`` in ``folder`` means: here, an absolute path or a URL."""
        if "://" in location or location.startswith("git@"):
            return cls.kind, location
        return cls.kind, str((folder / Path(location).expanduser()).resolve())

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """The options that an entry of ``twin.yaml`` may have."""
        return cls.options_allowed
