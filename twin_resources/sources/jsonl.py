"""Documents in our own schema, one JSON object a line: the way in for a platform that has no reader."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from twin_resources.readers.archives import Archive, Unreadable, decode, is_storable
from twin_resources.sources.base import CATEGORIES, Item, MediaType, Quarantined, RawDocument, Skipped, Source
from twin_resources.sources.registry import source
from twin_resources.text.dates import parse_utc
from twin_resources.text.urls import canonical_url, has_scheme

SUFFIXES = (".jsonl", ".ndjson")
_MEDIA_TYPES: Mapping[str, MediaType] = {"text": "text/plain", "markdown": "text/markdown", "html": "text/html"}
_KNOWN = ("url", "title", *_MEDIA_TYPES, "category", "platform", "published_at", "byline", "author", "also", "extra")


@source
class JsonLines(Source):
    """Objects with ``url``, one of ``text``, ``markdown`` and ``html``, and optionally ``title``, ``category``
    (``articles``), ``platform`` (``jsonl``), ``published_at``, ``byline`` or ``author``, ``also`` and ``extra``.

    Keys it does not know are kept in ``extra``.
    """

    kind: ClassVar[str] = "jsonl"
    platform: ClassVar[str] = "jsonl"
    format: ClassVar[str] = "jsonl"

    def read(self) -> Iterator[Item]:
        """Yield one item a line; empty lines are none.

        Raises:
            SourceError: the location is missing.
        """
        seen: dict[str, str] = {}
        with Archive(Path(self.location)) as archive:
            single = len(archive.names()) == 1
            for name in archive.names():
                if not single and PurePosixPath(name).suffix.lower() not in SUFFIXES:
                    yield Skipped(name, "not_jsonl")
                    continue
                try:
                    lines = _lines(archive, name)
                except Unreadable as problem:
                    yield Quarantined(name, problem.reason, problem.remedy)
                    continue
                for number, line in enumerate(lines, start=1):
                    if isinstance(line, Unreadable):
                        yield Quarantined(f"{name} line {number}", line.reason, line.remedy)
                    elif line.strip():
                        yield self._item(f"{name} line {number}", line, seen)

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A ``.jsonl`` or ``.ndjson`` file."""
        return path.is_file() and path.suffix.lower() in SUFFIXES

    def _item(self, item: str, line: str, seen: dict[str, str]) -> Item:
        try:
            document = self._document(line)
        except ValueError as problem:
            return Quarantined(item, str(problem), "correct this line and import the file again")
        if not document.body.strip():
            return Skipped(item, "empty")
        if (first := seen.setdefault(document.url, item)) != item:
            return Skipped(item, "duplicate_url", f"{document.url} is also the URL of {first}")
        return document

    def _document(self, line: str) -> RawDocument:
        fields = _object(line)
        bodies = [key for key in _MEDIA_TYPES if key in fields]
        if len(bodies) != 1:
            raise ValueError(f"needs exactly one of text, markdown, html; has {', '.join(bodies) or 'none'}")
        url = _text(fields, "url")
        if not has_scheme(url):
            raise ValueError(f"url is missing or not absolute: {url!r}")
        category = fields.get("category", "articles")
        if category not in CATEGORIES:
            raise ValueError(f"category is one of {', '.join(CATEGORIES)}, not {category!r}")
        platform = _text(fields, "platform") or self.platform
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", platform):
            raise ValueError(f"platform is a lower-case slug, not {platform!r}")
        also = fields.get("also") or []
        if not isinstance(also, list) or not all(isinstance(other, str) and has_scheme(other) for other in also):
            raise ValueError("also is a list of absolute URLs")
        extra = fields.get("extra") or {}
        if not isinstance(extra, dict):
            raise ValueError("extra is an object")
        media_type = _MEDIA_TYPES[bodies[0]]
        body = fields[bodies[0]]
        if not isinstance(body, str):
            raise ValueError(f"{bodies[0]} is text, not {type(body).__name__}")
        return RawDocument(
            url=canonical_url(url),
            platform=platform,
            category=category,
            media_type="text/x-code" if category == "code" and media_type == "text/plain" else media_type,
            body=body,
            title=_text(fields, "title") or None,
            byline=_text(fields, "byline") or _text(fields, "author") or None,
            published_at=parse_utc(_text(fields, "published_at")),
            also=tuple(dict.fromkeys(canonical_url(other) for other in also)),
            extra={**{key: value for key, value in fields.items() if key not in _KNOWN}, **extra},
        )


def _lines(archive: Archive, name: str) -> list[str | Unreadable]:
    """The lines of a file; where it cannot be read as a whole, each line by itself, so that one costs no other.

    Raises:
        Unreadable: the file cannot be opened, or is too large.
    """
    try:
        return [*archive.read_text(name).split("\n")]
    except Unreadable:
        return [_decoded(line) for line in archive.read(name).split(b"\n")]


def _decoded(line: bytes) -> str | Unreadable:
    try:
        return decode(line)
    except Unreadable as problem:
        return problem


def _object(line: str) -> dict[str, Any]:
    try:
        fields = json.loads(line, parse_constant=_refuse_constant)
    except json.JSONDecodeError as problem:
        raise ValueError(f"not JSON: {problem.msg} at column {problem.colno}") from problem
    except RecursionError as problem:
        raise ValueError("not JSON we read: nested too deeply") from problem
    if not isinstance(fields, dict):
        raise ValueError(f"an object is expected, not {type(fields).__name__}")
    if not is_storable(json.dumps(fields, ensure_ascii=False).replace("\\u0000", "\0")):
        raise ValueError("holds a NUL (\\u0000) or half of a surrogate pair")
    return fields


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{key} is text, not {type(value).__name__}")
    return value.strip()
