"""Reading the sources of a dataset: text and Markdown, JSON and JSON Lines (the Handbook's too), Parquet, folders."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from twin_resources.errors import TwinError
from twin_resources.quality.sources import Source
from twin_resources.sources.handbook import content_of
from twin_resources.text.markup import visible_text

_PLAIN = (".md", ".markdown", ".txt", ".text", ".rst", ".mdx")
_MARKUP = (".html", ".htm")
_DATA = (".jsonl", ".ndjson", ".json", ".parquet")
SUFFIXES = (*_PLAIN, *_MARKUP, *_DATA)
_NAMES = ("url", "link", "id", "_id", "document_id", "title", "path", "source")
_BODIES = ("text", "content", "body", "markdown", "html", "article", "passage", "document")
_TITLE = re.compile(r"^(?:#\s+(.+)|title:\s*[\"']?(.+?)[\"']?)\s*$", re.M)


class SourcesUnreadable(TwinError):
    """A file of sources cannot be read: says which, why, and what to do."""


def sources(paths: Iterable[Path]) -> Iterator[Source]:
    """The texts of files and folders, one or many a file.

    Raises:
        SourcesUnreadable: a path is missing, holds no text, or is broken.
    """
    for path in paths:
        empty = True
        for file in _files(path):
            for source in _of_file(file, path):
                empty = False
                yield source
        if empty:
            raise SourcesUnreadable(f"{path}: no text in it", "name files that hold what the dataset was made of")


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(
            each
            for each in path.rglob("*")
            if each.is_file() and each.suffix.lower() in SUFFIXES and not any(part[0] == "." for part in each.parts[1:])
        )
    if not path.exists():
        raise SourcesUnreadable(f"{path}: there is no such file", "check the path given to --sources")
    if path.suffix.lower() not in SUFFIXES:
        suffix = path.suffix or "a file without a suffix"
        raise SourcesUnreadable(f"{path}: {suffix} is not read", f"convert it to one of {', '.join(SUFFIXES)}")
    return [path]


def _of_file(file: Path, root: Path) -> Iterator[Source]:
    suffix = file.suffix.lower()
    try:
        if suffix in _DATA:
            for fields in _records(file):
                yield from _of_record(fields)
            return
        text = file.read_text(encoding="utf-8-sig", errors="strict" if file == root else "replace")
    except UnicodeDecodeError as problem:
        raise SourcesUnreadable(f"{file}: not UTF-8 at byte {problem.start}", "save it as UTF-8") from problem
    except OSError as problem:
        raise SourcesUnreadable(f"{file}: {problem.strerror or problem}", "check that it can be read") from problem
    except (ValueError, RecursionError) as problem:
        reason = str(problem).splitlines()[0]
        raise SourcesUnreadable(f"{file}: not {suffix[1:].upper()} ({reason})", "write it again") from problem
    if suffix in _MARKUP:
        text = visible_text(text)
    if text.strip():
        name = str(file.relative_to(root)) if file != root else file.name
        title = next((one or two for one, two in _TITLE.findall(text[:4000])), "")
        yield Source(title, text, (name, file.name, file.stem))


def _records(file: Path) -> Iterator[Any]:
    if file.suffix.lower() == ".parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(batch_size=256):
                yield from batch.to_pylist()
    elif file.suffix.lower() == ".json":
        yield json.loads(file.read_text(encoding="utf-8-sig"))
    else:
        with file.open(encoding="utf-8-sig") as lines:
            yield from (json.loads(line) for line in lines if line.strip())


def _of_record(value: Any) -> Iterator[Source]:
    """Texts of a JSON value: lists are gone through; an object is one text, or holds lists of them."""
    if isinstance(value, list):
        for each in value:
            yield from _of_record(each)
        return
    if isinstance(value, str):
        if value.strip():
            yield Source("", value)
        return
    if not isinstance(value, Mapping):
        return
    fields = {str(key).casefold(): each for key, each in value.items()}
    body = next(
        (fields[name] for name in _BODIES if isinstance(fields.get(name), str | Mapping) and fields[name]), None
    )
    if body is None:
        for each in fields.values():
            if isinstance(each, list | Mapping):
                yield from _of_record(each)
        return
    title = fields.get("title")
    if isinstance(body, Mapping) or body.lstrip().startswith("{'"):
        try:
            content = content_of(body)
        except ValueError:
            content = {"content": body}
        title = title or content.get("title")
        body = "\n\n".join(each for each in content.values() if isinstance(each, str) and each.strip())
    elif "html" in fields and body is fields["html"]:
        body = visible_text(body)
    names = tuple(str(fields[name]) for name in _NAMES if isinstance(fields.get(name), str | int))
    yield Source(str(title or ""), str(body), names)
