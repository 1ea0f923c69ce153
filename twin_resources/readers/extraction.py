"""What is read out of a fetched page, by an extractor that has a version: the page is kept, the reading can be redone.

Collecting reads a page to know whose it is and where it belongs; what ``clean`` takes from it (text, title, byline,
date) is read from the stored page again whenever :data:`EXTRACTOR` is another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from twin_resources.network.response import decoded
from twin_resources.readers.page import Page, read_page
from twin_resources.text.urls import canonical_url

EXTRACTOR = "1"
"""Raise it when :func:`~twin_resources.readers.page.read_page` would now read a page differently: stored pages are
read again, and nothing is fetched."""


@dataclass(frozen=True)
class FetchedPage:
    """A page as a host sent it; ``url`` is the address it is read at, ``content`` the bytes of the body."""

    url: str
    content_type: str
    content: bytes

    def read(self) -> Page:
        """The article on it.

        Raises:
            PageError: nothing readable is on it.
        """
        return read_page(decoded(self.content, self.content_type), self.url)


@dataclass(frozen=True)
class Extraction:
    """What one extractor reads out of a page. ``also`` are further addresses that the page states for itself; ``extra``
    is JSON-serialisable."""

    title: str | None
    byline: str | None
    body: str
    published_at: datetime | None
    also: tuple[str, ...]
    extra: Mapping[str, Any]

    @classmethod
    def of(cls, page: Page) -> Extraction:
        """The part of a page that does not decide whose it is."""
        extra: dict[str, Any] = {"subtitle": page.subtitle, "language": page.language, **page.extra}
        if page.modified_at:
            extra["modified_at"] = page.modified_at.isoformat()
        return cls(
            title=page.title,
            byline=page.byline,
            body=page.body,
            published_at=page.published_at,
            also=tuple(canonical_url(each) for each in page.also),
            extra={key: value for key, value in extra.items() if value not in (None, "", [], {})},
        )

    def others(self, url: str, same: Iterable[str]) -> tuple[str, ...]:
        """Other addresses of the document at ``url``: those that can only be the same one, then the page's own."""
        return tuple(dict.fromkeys(each for each in (*same, *self.also) if each != url))
