"""Medium's data export (Settings, Security and apps, Download your information), as the zip or unpacked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import ClassVar

from lxml.html import HtmlElement

from twin_resources.errors import SourceError
from twin_resources.readers.archives import Archive, Unreadable
from twin_resources.sources.base import Category, Item, Quarantined, RawDocument, Skipped, Source, profile_of
from twin_resources.sources.registry import source
from twin_resources.text.dates import utc_or_none
from twin_resources.text.markup import first, has_class, inner_html, text_of
from twin_resources.text.urls import canonical_url

POSTS, PROFILE = "posts/*.html", "profile/profile.html"
_BODY = "//section[@data-field='body']"
_DATED_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})_")
_ID = re.compile(r"[0-9a-f]{6,}\Z")
_DAMAGED = "download the export again, or add the story's page as a jsonl line"


@source
class MediumExport(Source):
    """The published stories of an export, and the bio of its profile, where there is one, as a post; drafts and
    responses to other people's stories are skipped.

    Two files may name one canonical link (a story imported twice). The second keeps its text under
    ``medium:<file name>`` unless the text is the same.
    """

    kind: ClassVar[str] = "medium_export"
    platform: ClassVar[str] = "medium"
    categories: ClassVar[tuple[Category, ...]] = ("articles", "posts")
    format: ClassVar[str] = "medium"

    def read(self) -> Iterator[Item]:
        """Yield one item a file in ``posts/``, and one for the profile.

        Raises:
            SourceError: the location is missing, an unsafe zip, or has no ``posts/*.html``.
        """
        seen: dict[str, RawDocument] = {}
        with Archive(Path(self.location)) as archive:
            names = sorted(archive.matching(POSTS))
            if not names:
                raise SourceError(f"{self.location}: no posts/*.html in it, so not a Medium export")
            for name in names:
                item = _item(archive, name)
                if isinstance(item, RawDocument):
                    item = _apart(item, name, seen)
                yield item
            for name in archive.matching(PROFILE)[:1]:
                yield _profile(archive, name)

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A zip or folder whose ``posts/`` holds pages with Medium's body section."""
        try:
            with Archive(path) as archive:
                if path.is_file() and archive.names() == [path.name]:
                    return False
                return any(_has_body_section(archive, name) for name in archive.matching(POSTS)[:5])
        except SourceError:
            return False


def _item(archive: Archive, name: str) -> Item:
    try:
        page = archive.read_page(name, _DAMAGED)
    except Unreadable as problem:
        return Quarantined(name, problem.reason, problem.remedy)
    path = PurePosixPath(name)
    body = first(page, _BODY)
    if body is None:
        return Quarantined(name, "no section with the story's text", _DAMAGED)
    canonical = _href(page, f"//footer//a[{has_class('p-canonical')}]")
    short = _href(page, "//footer//a[.//time]")
    if path.name.startswith("draft_") or (canonical is None and short is None):
        return Skipped(name, "draft")
    title = text_of(first(page, f"//h1[{has_class('p-name')}]")) or text_of(first(page, "//title"))
    if _is_response(page, body, title):
        return Skipped(name, "comment", title)
    subtitle = text_of(first(page, "//section[@data-field='subtitle']"))
    heading = _remove_title(body, title)
    if not text_of(body) and not body.xpath(".//img | .//iframe"):
        return Skipped(name, "empty")
    date = str(first(page, f"//time[{has_class('dt-published')}]/@datetime") or "")
    dated_name = _DATED_NAME.match(path.name)
    details = {"subtitle": subtitle, "heading": heading if heading != title else "", "file": path.name}
    tags = [text_of(tag) for tag in page.xpath(f"//footer//a[{has_class('p-tag')}]")]
    return RawDocument(
        url=canonical or short or f"medium:{path.stem}",
        platform=MediumExport.platform,
        category="articles",
        media_type="text/html",
        body=inner_html(body),
        title=title or heading or None,
        byline=text_of(first(page, f"//footer//a[{has_class('p-author')}]")) or None,
        published_at=utc_or_none(date) or (utc_or_none(dated_name.group(1)) if dated_name else None),
        also=(short,) if short and canonical and _same_story(short, canonical, path.stem) else (),
        extra={**{key: value for key, value in details.items() if value}, **({"tags": tags} if tags else {})},
    )


def _profile(archive: Archive, name: str) -> Item:
    """The bio alone: what else stands there are names, addresses and numbers of accounts."""
    try:
        page = archive.read_page(name, _DAMAGED)
    except Unreadable as problem:
        return Quarantined(name, problem.reason, problem.remedy)
    bio = text_of(first(page, f"//*[{has_class('h-card')}]//*[{has_class('p-note')}]"))
    if not bio:
        told = (text_of(item) for item in page.xpath(f"//*[{has_class('h-card')}]//li[b]"))
        bio = next((text.partition(":")[2].strip() for text in told if text.lower().startswith("bio:")), "")
    address = _href(page, f"//*[{has_class('h-card')}]//a[{has_class('u-url')}]")
    return profile_of(MediumExport.platform, address or "medium:profile", bio, name="Medium")


def _apart(document: RawDocument, name: str, seen: dict[str, RawDocument]) -> Item:
    earlier = seen.setdefault(document.url, document)
    if earlier is document:
        return document
    if earlier.body == document.body:
        return Skipped(name, "duplicate_url", f"the same text as {earlier.extra['file']}")
    return RawDocument(**{**vars(document), "url": f"medium:{PurePosixPath(name).stem}", "also": ()})


def _is_response(page: HtmlElement, body: HtmlElement, title: str) -> bool:
    """Medium names a response after its own first words and gives it no title, subtitle or tags."""
    if page.xpath(f"//section[@data-field='subtitle'] | //a[{has_class('p-tag')}]"):
        return False
    if body.xpath(f".//*[{has_class('graf--title')}]"):
        return False
    opening = title.rstrip("….").strip()
    return bool(opening) and text_of(body).startswith(opening)


def _remove_title(body: HtmlElement, title: str) -> str:
    """Take the title heading, which the export prints again inside the body, out of it; its text, if there was one."""
    heading = first(body, f".//*[{has_class('graf--title')}]")
    if heading is None:
        opening = first(body, f".//*[{has_class('graf')}]")
        if opening is None or opening.tag not in ("h1", "h2", "h3", "h4") or text_of(opening) != title:
            return ""
        heading = opening
    text = text_of(heading)
    heading.drop_tree()
    return text


def _same_story(short: str, canonical: str, stem: str) -> bool:
    identifier = _ID.search(short)
    return identifier is not None and (canonical.endswith(identifier.group()) or stem.endswith(identifier.group()))


def _href(page: HtmlElement, xpath: str) -> str | None:
    try:
        return canonical_url(str(first(page, f"{xpath}/@href") or "")) or None
    except ValueError:
        return None


def _has_body_section(archive: Archive, name: str) -> bool:
    try:
        return first(archive.read_page(name, _DAMAGED), _BODY) is not None
    except Unreadable:
        return False
