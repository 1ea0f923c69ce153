"""What a host answered, and the media types that are read."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from twin_resources.network.addresses import joined, shown
from twin_resources.network.errors import Unavailable

HTML = ("text/html", "application/xhtml+xml")
XML = ("application/rss+xml", "application/atom+xml", "application/xml", "text/xml", "application/rdf+xml")
JSON = ("application/json", "application/feed+json", "application/problem+json", "text/json")
TEXT = ("text/plain",)
PACKED = ("application/gzip", "application/x-gzip", "application/zip", "application/octet-stream")


@dataclass(frozen=True)
class Validators:
    """What a host said of the version it sent, to ask for a newer one only."""

    etag: str | None = None
    last_modified: str | None = None

    def headers(self) -> dict[str, str]:
        """The conditions of a request."""
        found = {"if-none-match": self.etag, "if-modified-since": self.last_modified}
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True)
class Response:
    """What a host answered. ``url`` is where the last redirect led, ``moved`` whether all redirects were permanent."""

    asked: str
    url: str
    status: int
    headers: Mapping[str, str]
    content: bytes
    moved: bool = False

    @property
    def unchanged(self) -> bool:
        """304: what we hold is still the newest."""
        return self.status == 304

    @property
    def ok(self) -> bool:
        """Whether there is a body to read."""
        return 200 <= self.status < 300

    @property
    def validators(self) -> Validators:
        """What to ask with next time."""
        return Validators(self.headers.get("etag"), self.headers.get("last-modified"))

    @property
    def content_type(self) -> str:
        """The header of that name, as it was sent; empty where there is none."""
        return self.headers.get("content-type", "")

    @functools.cached_property
    def _parsed(self) -> httpx.Response:
        kept = {name: value for name, value in self.headers.items() if name in ("content-type", "link")}
        return httpx.Response(self.status, headers=kept, content=self.content)

    @property
    def text(self) -> str:
        """The body as text: the declared character set, else UTF-8; without a byte order mark."""
        return decoded(self.content, self.content_type)

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            Unavailable: it is not JSON.
        """
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError) as problem:
            raise Unavailable(f"{shown(self.url)}: the answer is not JSON; try again later") from problem

    @property
    def next(self) -> str | None:
        """The next page by the header ``Link`` (RFC 8288)."""
        link = self._parsed.links.get("next", {}).get("url")
        return joined(self.url, link) if link else None


def decoded(content: bytes, content_type: str) -> str:
    """A body as text: in the character set that ``content_type`` declares, else UTF-8; without a byte order mark."""
    headers = {"content-type": content_type} if content_type else {}
    return httpx.Response(200, headers=headers, content=content).text.removeprefix("\ufeff")
