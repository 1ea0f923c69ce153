"""The document dump of the LLM Engineer's Handbook code: JSON lists crawled by someone else's crawler."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from twin_resources.errors import SourceError
from twin_resources.readers.archives import Archive, Unreadable, is_storable
from twin_resources.sources.base import Category, Item, Quarantined, RawDocument, Skipped, Source
from twin_resources.sources.registry import source
from twin_resources.text.urls import canonical_url, has_scheme, host_is

_FILES: Mapping[str, Category] = {
    "ArticleDocument.json": "articles",
    "PostDocument.json": "posts",
    "RepositoryDocument.json": "code",
}


@source
class Handbook(Source):
    """``ArticleDocument.json``, ``PostDocument.json`` and ``RepositoryDocument.json``, one of them or a folder.

    The dump holds several authors; the others are skipped. Its repositories are skipped too: the crawler that made
    the dump removed every space from their code.
    """

    kind: ClassVar[str] = "handbook"
    platform: ClassVar[str] = "handbook"
    format: ClassVar[str] = "handbook"

    def read(self) -> Iterator[Item]:
        """Yield one item an entry.

        Raises:
            SourceError: the location is missing or holds none of the three files.
        """
        seen: dict[str, str] = {}
        with Archive(Path(self.location)) as archive:
            files = [name for name in archive.names() if PurePosixPath(name).name in _FILES]
            if not files:
                raise SourceError(f"{self.location}: none of {', '.join(_FILES)} in it")
            for name in files:
                yield from self._entries(archive, name, seen)

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """One of the three files, or a folder or zip with one at the top."""
        try:
            with Archive(path) as archive:
                return any(archive.matching(name) for name in _FILES)
        except SourceError:
            return False

    def _entries(self, archive: Archive, name: str, seen: dict[str, str]) -> Iterator[Item]:
        try:
            entries = json.loads(archive.read_text(name))
        except Unreadable as problem:
            yield Quarantined(name, problem.reason, problem.remedy)
            return
        except (ValueError, RecursionError) as problem:
            yield Quarantined(name, f"not JSON: {problem}", "export the collection again as a JSON array")
            return
        if not isinstance(entries, list):
            yield Quarantined(name, "a list of documents is expected", "export the collection again as a JSON array")
            return
        for number, entry in enumerate(entries, start=1):
            item = f"{name} entry {number}"
            try:
                found = self._item(item, entry, _FILES[PurePosixPath(name).name])
            except ValueError as problem:
                found = Quarantined(item, str(problem), "correct the entry, or remove it from the file")
            if isinstance(found, RawDocument) and (first := seen.setdefault(found.url, item)) != item:
                found = Skipped(item, "duplicate_url", f"{found.url} is also the URL of {first}")
            yield found

    def _item(self, item: str, entry: object, category: Category) -> Item:
        if not isinstance(entry, dict):
            raise ValueError(f"an object is expected, not {type(entry).__name__}")
        author = entry.get("author_full_name")
        if not isinstance(author, str) or not author.strip():
            raise ValueError("author_full_name is missing")
        if not self.author.is_named(author):
            return Skipped(item, "other_author", author)
        if category == "code":
            detail = "the dump stores code without its spaces; add the repository itself as a github source"
            return Skipped(item, "repository", detail)
        link = entry.get("link")
        if not isinstance(link, str) or not has_scheme(link.strip()):
            raise ValueError(f"link is missing or not a URL: {link!r}")
        content = content_of(entry.get("content"))
        body = _text(content, "Content") or _text(content, "Text")
        if body is None:
            raise ValueError("content has no text under 'Content'")
        if not body.strip():
            return Skipped(item, "empty")
        details = {"subtitle": _text(content, "Subtitle"), "language": _text(content, "language")}
        return RawDocument(
            url=canonical_url(link),
            platform=_platform(link, entry.get("platform")),
            category=category,
            media_type="text/markdown",
            body=body,
            title=_text(content, "Title") if category == "articles" else None,
            also=() if canonical_url(link) == link else (link,),
            extra={key: value for key, value in details.items() if value},
        )


def content_of(content: object) -> Mapping[str, Any]:
    """The dictionary of an entry, which some dumps hold as its Python source; read as a literal, never run."""
    if isinstance(content, str):
        try:
            content = ast.literal_eval(content)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError) as problem:
            raise ValueError(f"content is not a Python dictionary: {type(problem).__name__}") from problem
    if not isinstance(content, dict):
        raise ValueError(f"content is a {type(content).__name__}, not a dictionary")
    return {str(key).lower(): value for key, value in content.items()}


def _text(content: Mapping[str, Any], key: str) -> str | None:
    value = content.get(key.lower())
    if not isinstance(value, str):
        return None
    if not is_storable(value):
        raise ValueError(f"{key} holds a NUL or half of a surrogate pair")
    return value


def _platform(link: str, given: object) -> str:
    for platform in ("medium", "substack", "linkedin"):
        if host_is(link, f"{platform}.com") or given == platform:
            return platform
    return "web"
