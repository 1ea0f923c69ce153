"""RSS, Atom and JSON feeds, and sitemaps: lists of what a site publishes. Both are data of strangers."""

from __future__ import annotations

import gzip
import io
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import feedparser
from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

from twin_resources.errors import TwinError
from twin_resources.text.dates import utc_or_none

MAX_SITEMAP_BYTES = 50 * 1024**2
"""The sitemap protocol's own limit."""
_START = re.compile(rb"<\?xml|<rss|<feed|<rdf:RDF", re.IGNORECASE)
_FULL_WORDS = 200


class FeedError(TwinError):
    """A feed or sitemap cannot be read; the message says why."""


@dataclass(frozen=True)
class Entry:
    """One entry. ``html`` is the whole text where the feed carries it; ``id`` is the feed's own name for it."""

    url: str
    id: str
    title: str | None
    byline: str | None
    published_at: datetime | None
    updated_at: datetime | None
    html: str


@dataclass(frozen=True)
class Listed:
    """One line of a sitemap; ``lastmod`` as it is written."""

    url: str
    lastmod: str | None


def read_feed(content: bytes) -> list[Entry]:
    """The entries of an RSS, Atom or JSON feed in the order they stand; prose before the XML is passed over.

    Raises:
        FeedError: it is no feed, or declares entities of its own.
    """
    if content.lstrip()[:1] == b"{":
        return _json_feed(content)
    _refuse_entities(content)
    start = _START.search(content[:8192])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # feedparser warns of its own fallback for dates
        found = feedparser.parse(io.BytesIO(content[start.start() :] if start else content), sanitize_html=False)
        if not found.get("version") and not found.entries:
            raise FeedError("no RSS, Atom or JSON feed")
        return [_entry(entry) for entry in found.entries if entry.get("link")]


def read_sitemap(content: bytes) -> tuple[list[Listed], list[str]]:
    """The pages of a sitemap and, where it is an index, the sitemaps it names; packed with gzip or not.

    Raises:
        FeedError: it is no sitemap, too large, or declares entities.
    """
    if content[:2] == b"\x1f\x8b":
        content = _unpacked(content)
    root = parse_xml(content)
    kind = etree.QName(root).localname
    if kind not in ("urlset", "sitemapindex"):
        raise FeedError(f"no sitemap: its first element is {kind[:40]!r}")
    pages: list[Listed] = []
    for entry in root:
        if not isinstance(entry.tag, str):
            continue
        values = {
            etree.QName(child).localname: (child.text or "").strip() for child in entry if isinstance(child.tag, str)
        }
        if values.get("loc"):
            pages.append(Listed(values["loc"], values.get("lastmod") or None))
    return (pages, []) if kind == "urlset" else ([], [page.url for page in pages])


def parse_xml(content: bytes) -> Any:
    """The root of ``content`` without its entities: nothing is expanded, and nothing is fetched.

    Raises:
        FeedError: it is not XML, or has a document type with declarations.
    """
    _refuse_entities(content)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(content.lstrip(), parser=parser)
    except (etree.XMLSyntaxError, ValueError) as problem:
        raise FeedError(f"not XML: {str(problem)[:120]}") from None
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and (list(declared.iterentities()) or list(declared.iterelements())):
        raise FeedError("declares entities of its own, which a feed has no need for; not read")
    return root


def _refuse_entities(content: bytes) -> None:
    # A second look without NULs finds a declaration in UTF-16 too.
    if re.search(rb"<!ENTITY", content, re.IGNORECASE) or re.search(
        rb"<!ENTITY", content.replace(b"\0", b""), re.IGNORECASE
    ):
        raise FeedError("declares entities of its own, which a feed has no need for; not read")


def _unpacked(content: bytes) -> bytes:
    try:
        with gzip.open(io.BytesIO(content)) as packed:
            found = packed.read(MAX_SITEMAP_BYTES + 1)
    except (OSError, EOFError) as problem:
        raise FeedError(f"the packed sitemap is damaged: {problem}") from None
    if len(found) > MAX_SITEMAP_BYTES:
        raise FeedError(f"larger than {MAX_SITEMAP_BYTES:,} bytes unpacked; not read")
    return found


def _entry(entry: Mapping[str, Any]) -> Entry:
    whole = next((part["value"] for part in entry.get("content", ()) if part.get("value")), "")
    summary = str(entry.get("summary") or "")
    if not whole and len(re.sub(r"<[^>]*>", " ", summary).split()) >= _FULL_WORDS:
        whole = summary
    published, updated = _moment(entry.get("published_parsed")), _moment(entry.get("updated_parsed"))
    return Entry(
        url=str(entry["link"]),
        id=str(entry.get("id") or entry["link"]),
        title=" ".join(str(entry.get("title") or "").split()) or None,
        byline=" ".join(str(entry.get("author") or "").split()) or None,
        published_at=published or updated,
        updated_at=updated,
        html=whole,
    )


def _moment(parsed: Any) -> datetime | None:
    try:
        return datetime(*parsed[:6], tzinfo=UTC) if parsed else None
    except (ValueError, TypeError):
        return None


def _json_feed(content: bytes) -> list[Entry]:
    """JSON Feed 1.1 (jsonfeed.org)."""
    try:
        feed = json.loads(content)
        items = feed["items"]
        if "jsonfeed.org" not in str(feed.get("version")) or not isinstance(items, list):
            raise KeyError("version")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise FeedError("no RSS, Atom or JSON feed") from None
    found = []
    for item in items:
        if not isinstance(item, dict) or not (item.get("url") or str(item.get("id", "")).startswith("http")):
            continue
        authors = item.get("authors") or [item.get("author") or {}]
        name = next((str(each["name"]) for each in authors if isinstance(each, dict) and each.get("name")), None)
        found.append(
            Entry(
                url=str(item.get("url") or item["id"]),
                id=str(item.get("id") or item["url"]),
                title=str(item["title"]) if item.get("title") else None,
                byline=name,
                published_at=utc_or_none(str(item.get("date_published") or "")),
                updated_at=utc_or_none(str(item.get("date_modified") or "")),
                html=str(item.get("content_html") or item.get("content_text") or ""),
            )
        )
    return found
