"""Substack's export (Settings, Export): ``posts.csv`` and one HTML file a post."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import ClassVar
from urllib.parse import urlsplit

from twin_resources.errors import SourceError
from twin_resources.readers.archives import Archive, Unreadable
from twin_resources.sources.base import Category, Item, Quarantined, RawDocument, Skipped, Source
from twin_resources.sources.registry import source
from twin_resources.text.csv_tables import Row, read_table
from twin_resources.text.dates import utc_or_none
from twin_resources.text.markup import has_class, parse_html, text_of
from twin_resources.text.urls import canonical_url

INDEX = "posts.csv"
MIN_PODCAST_WORDS = 100
"""A podcast with fewer words is a player and a line of notes; one with more carries a transcript or an essay."""
_ARTICLES = ("newsletter", "podcast", "video")
_SLUG = re.compile(r"[^/\\\s]+")


@source
class SubstackExport(Source):
    """The published newsletters of an export.

    ``host`` is the newsletter's address (``me.substack.com``), which the export does not state. Without it the host
    that all subscribe buttons of the posts agree on is taken; where they don't, URLs read ``substack:<slug>``.
    """

    kind: ClassVar[str] = "substack_export"
    platform: ClassVar[str] = "substack"
    categories: ClassVar[tuple[Category, ...]] = ("articles",)
    format: ClassVar[str] = "substack"
    options_allowed: ClassVar[tuple[str, ...]] = ("host",)

    def read(self) -> Iterator[Item]:
        """Yield one item a row of ``posts.csv``, then one for each HTML file that no row names.

        Raises:
            SourceError: the location is missing, an unsafe zip, has no ``posts.csv`` with a ``post_id`` column, or
                ``host`` is not a host.
        """
        with Archive(Path(self.location)) as archive:
            index = next(iter(archive.matching(INDEX)), None)
            if index is None:
                raise SourceError(f"{self.location}: no posts.csv in it, so not a Substack export")
            try:
                table = read_table(archive.read_text(index))
            except Unreadable as problem:
                raise SourceError(f"{self.location}: {index} {problem.reason}; {problem.remedy}") from problem
            if "post_id" not in table.columns:
                raise SourceError(f"{self.location}: {index} has no column post_id, so not a Substack export")
            prefix = index.removesuffix(INDEX) + "posts/"
            pages = _pages(archive, prefix)
            host = _host(self.options["host"]) if self.options.get("host") else _printed_host(archive, pages)
            named: set[str] = set()
            seen: dict[str, str] = {}
            for row in table.rows:
                item = f"{index} row {row.number}"
                identifier = row.fields.get("post_id", "").strip()
                page = pages.get(identifier) or pages.get(identifier.partition(".")[0])
                if page:
                    named.add(page)
                found = _item(archive, item, row, page, host)
                if isinstance(found, RawDocument) and (first := seen.setdefault(found.url, item)) != item:
                    found = Skipped(item, "duplicate_url", f"{found.url} is also the URL of {first}")
                yield found
            for page in sorted(set(pages.values()) - named):
                yield Quarantined(page, "no readable row in posts.csv names it", "download the export again")

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A zip or folder with a ``posts.csv``."""
        try:
            with Archive(path) as archive:
                return bool(archive.matching(INDEX)) and archive.names() != [path.name]
        except SourceError:
            return False


def _item(archive: Archive, item: str, row: Row, page: str | None, host: str | None) -> Item:
    fields = row.fields
    identifier = fields.get("post_id", "").strip()
    if row.problem or not identifier:
        return Quarantined(item, row.problem or "post_id is empty", "correct this row of posts.csv")
    item = f"{item} ({identifier})"
    kind = fields.get("type", "newsletter").strip().lower() or "newsletter"
    if fields.get("is_published", "true").strip().lower() not in ("true", "1", "yes"):
        return Skipped(item, "draft")
    if kind not in _ARTICLES:
        return Skipped(item, kind if re.fullmatch(r"[a-z][a-z_]{0,30}", kind) else "unknown_type", kind)
    if page is None:
        return Quarantined(item, f"posts/{identifier}.html is missing", "download the export again")
    try:
        body = archive.read_text(page)
        words = len(text_of(parse_html(body)).split()) if body.strip() else 0
    except Unreadable as problem:
        return Quarantined(f"{item} {page}", problem.reason, problem.remedy)
    except ValueError as problem:
        return Quarantined(f"{item} {page}", str(problem), "download the export again")
    if kind != "newsletter" and words < MIN_PODCAST_WORDS:
        return Skipped(item, kind, f"{words} words of text")
    if not words and "<img" not in body:
        return Skipped(item, "empty")
    slug = identifier.partition(".")[2] or PurePosixPath(page).stem.partition(".")[2] or identifier
    if not _SLUG.fullmatch(slug):
        return Quarantined(item, f"post_id {identifier!r} holds no slug", "correct this row of posts.csv")
    return RawDocument(
        url=canonical_url(f"https://{host}/p/{slug}") if host else f"substack:{slug}",
        platform=SubstackExport.platform,
        category="articles",
        media_type="text/html",
        body=body,
        title=_plain(fields, "title") or None,
        published_at=utc_or_none(fields.get("post_date", "")),
        extra=_extra(fields, kind),
    )


def _extra(fields: Mapping[str, str], kind: str) -> dict[str, str]:
    details = {"type": kind, "post_id": fields["post_id"].strip(), "subtitle": _plain(fields, "subtitle")}
    details |= {key: fields.get(key, "").strip() for key in ("audience", "podcast_url")}
    date = fields.get("post_date", "").strip()
    if date and utc_or_none(date) is None:
        details["unread_date"] = date
    return {key: value for key, value in details.items() if value}


def _plain(fields: Mapping[str, str], key: str) -> str:
    return " ".join(html.unescape(fields.get(key, "")).split())


def _pages(archive: Archive, prefix: str) -> dict[str, str]:
    """The HTML files by ``<id>.<slug>`` and, for exports whose ``post_id`` is the number alone, by ``<id>``."""
    pages: dict[str, str] = {}
    for name in archive.names():
        if name.startswith(prefix) and name.endswith(".html"):
            stem = PurePosixPath(name).stem
            pages[stem] = name
            if stem.partition(".")[0].isdigit():
                pages.setdefault(stem.partition(".")[0], name)
    return pages


def _host(option: object) -> str:
    text = str(option).strip()
    try:
        host = urlsplit(text if "//" in text else f"//{text}").hostname or ""
    except ValueError:
        host = ""
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", host):
        raise SourceError(f"substack_export: host is an address such as me.substack.com, not {option!r}")
    return host


def _printed_host(archive: Archive, pages: Mapping[str, str]) -> str | None:
    hosts: set[str] = set()
    button = f"//*[{has_class('button-wrapper')}]//a/@href"
    for page in sorted(set(pages.values())):
        try:
            links = [str(link) for link in parse_html(archive.read_text(page)).xpath(button)]
            hosts |= {_host(link) for link in links if urlsplit(link).path.rstrip("/") == "/subscribe"}
        except (Unreadable, ValueError, SourceError):
            continue  # the post itself is reported where it is read
    return hosts.pop() if len(hosts) == 1 else None
