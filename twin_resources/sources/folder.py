"""A folder of Markdown: notes, a static site's content, or one file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar
from urllib.parse import quote, urljoin

from twin_resources.errors import SourceError
from twin_resources.readers.archives import Archive, Unreadable, is_storable, matches, patterns_of
from twin_resources.sources.base import Category, Item, Quarantined, RawDocument, Skipped, Source
from twin_resources.sources.registry import source
from twin_resources.text.dates import utc_or_none
from twin_resources.text.markup import first_heading, split_front_matter
from twin_resources.text.urls import canonical_url, has_scheme

SUFFIXES = (".md", ".markdown", ".txt")
MAX_BYTES = 2 * 1024**2
_LICENSES = ("license", "licence", "copying", "notice")
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@source
class Folder(Source):
    """Markdown files with or without front matter; the body is what follows the front matter, untouched.

    ``base_url`` is where the folder is published, ``category`` what its files are (``articles``), ``exclude`` globs.
    """

    kind: ClassVar[str] = "folder"
    platform: ClassVar[str] = "folder"
    categories: ClassVar[tuple[Category, ...]] = ("articles", "posts")
    format: ClassVar[str] = "markdown"
    options_allowed: ClassVar[tuple[str, ...]] = ("base_url", "category", "exclude")
    priority: ClassVar[int] = -10

    def read(self) -> Iterator[Item]:
        """Yield every file of the folder.

        Raises:
            SourceError: the location is missing, or an option has no valid value.
        """
        category = self.options.get("category", "articles")
        if category not in ("articles", "posts"):
            raise SourceError(f"{self.location}: category is articles or posts, not {category!r}")
        exclude = patterns_of(self.options, "exclude")
        seen: dict[str, str] = {}
        with Archive(Path(self.location)) as archive:
            yield from (Skipped(name, "hidden") for name in archive.hidden())
            for name in archive.names():
                item = self._item(archive, name, category, exclude)
                if isinstance(item, RawDocument) and (first := seen.setdefault(item.url, name)) != name:
                    item = Skipped(name, "duplicate_url", f"{item.url} is also the URL of {first}")
                yield item

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A Markdown file, or a folder with one somewhere in it."""
        if path.is_file():
            return path.suffix.lower() in SUFFIXES
        with Archive(path) as archive:
            return any(PurePosixPath(name).suffix.lower() in SUFFIXES[:2] for name in archive.names())

    def _item(self, archive: Archive, name: str, category: Category, exclude: tuple[str, ...]) -> Item:
        path = PurePosixPath(name)
        if matches(name, exclude):
            return Skipped(name, "excluded")
        if path.stem.lower() in _LICENSES and path.suffix.lower() in ("", *SUFFIXES):
            return Skipped(name, "license")
        if path.suffix.lower() not in SUFFIXES:
            return Skipped(name, "not_markdown")
        if archive.size(name) > MAX_BYTES:
            return Skipped(name, "too_large", f"{archive.size(name)} bytes; at most {MAX_BYTES} are read")
        try:
            text = archive.read_text(name)
        except Unreadable as problem:
            return Quarantined(name, problem.reason, problem.remedy)
        try:
            fields, body = split_front_matter(text)
        except ValueError as problem:
            return Quarantined(name, str(problem), "correct the front matter between the two --- lines")
        if not all(is_storable(str(value)) for value in fields.values()):
            return Quarantined(name, "front matter holds a NUL or half a character", "retype the front matter")
        if _text(fields, "draft").lower() in _TRUE or _text(fields, "published").lower() in _FALSE:
            return Skipped(name, "draft")
        if not body.strip():
            return Skipped(name, "empty")
        return self._document(path, fields, body, category)

    def _document(self, path: PurePosixPath, fields: Mapping[str, Any], body: str, category: Category) -> RawDocument:
        own_category = _text(fields, "category")
        date = _text(fields, "published_at") or _text(fields, "date")
        published_at = utc_or_none(date)
        extra: dict[str, Any] = {"path": str(path)}
        if tags := _texts(fields, "tags"):
            extra["tags"] = tags
        if description := _text(fields, "description") or _text(fields, "subtitle"):
            extra["subtitle"] = description
        if date and published_at is None:
            extra["unread_date"] = date
        return RawDocument(
            url=self._url(path, fields),
            platform=self.platform,
            category=own_category if own_category in ("articles", "posts") else category,
            media_type="text/plain" if path.suffix.lower() == ".txt" else "text/markdown",
            body=body,
            title=_text(fields, "title") or first_heading(body) or path.stem.replace("-", " ").replace("_", " "),
            byline=next(iter(_texts(fields, "author") or _texts(fields, "authors")), None),
            published_at=published_at,
            extra=extra,
        )

    def _url(self, path: PurePosixPath, fields: Mapping[str, Any]) -> str:
        base = str(self.options.get("base_url") or "")
        given = _text(fields, "canonical_url") or _text(fields, "url")
        if given and base and not has_scheme(given):
            given = urljoin(base.rstrip("/") + "/", given)
        if has_scheme(given):
            try:
                return canonical_url(given)
            except ValueError:
                pass  # an address that cannot be opened identifies nothing; the path does
        relative = str(path.with_suffix(""))
        if base:
            return canonical_url(f"{base.rstrip('/')}/{quote(relative)}")
        location = Path(self.location).resolve()
        folder = location.name if location.is_dir() else location.parent.name
        return f"folder:{folder}/{relative}"


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    return value.strip() if isinstance(value, str) else ""


def _texts(fields: Mapping[str, Any], key: str) -> list[str]:
    value = fields.get(key)
    values = value if isinstance(value, list) else [value]
    names = [entry.get("name") if isinstance(entry, dict) else entry for entry in values]
    return [name.strip() for name in names if isinstance(name, str) and name.strip()]
