"""What is read for each author, and reading a file that somebody sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from croniter import croniter

from twin_resources.config.settings import AuthorSettings, Settings
from twin_resources.errors import SourceError
from twin_resources.forgetting.forget import Forgetting, Forgotten
from twin_resources.sources.opener import SourceOpener
from twin_resources.sources.registry import detect
from twin_resources.storage.collector import CollectReport
from twin_resources.storage.sources import Reading, Sources
from twin_resources.storage.warehouse import Warehouse
from twin_serving.answering.errors import SourceConfigured

Way = Literal["forget", "stop"]
"""How a source is dropped: with everything that came from it, for good, or so that it is only no longer read."""


@dataclass(frozen=True)
class Dropped:
    """What became of a source: ``gone`` documents left the index; ``forgotten`` is None where they stay stored."""

    gone: int
    configured: bool
    forgotten: Forgotten | None


@dataclass(frozen=True)
class Imported:
    """What became of a file: as which kind of source it was read, and what that gave."""

    source_id: str
    kind: str
    report: CollectReport


def import_file(
    settings: Settings, warehouse: Warehouse, author: AuthorSettings, path: Path, progress: Callable[[int], None]
) -> Imported:
    """Read a file that was sent into the warehouse, as ``twin import`` reads one. Its name is its location, so that a
    newer export under the same name replaces what the older one gave. The file itself may go afterwards.

    Args:
        path: where the file lies now.
        progress: is told how many items were read so far.

    Raises:
        SourceError: no source recognises it, or it cannot be read.
    """
    opener = SourceOpener.of(settings)
    try:
        kind = detect(path).kind
    except SourceError:
        raise SourceError(
            f"{path.name}: the format was not recognised; send an export of Medium, Substack or LinkedIn as it was "
            "downloaded, Markdown or text files, a zip of those, or JSON lines (.jsonl)"
        ) from None
    opened = opener.open(author.author, kind, str(path), {})
    next(iter(opened.read()), None)  # what cannot be read at all is not remembered
    warehouse.record_author(author)
    source_id = warehouse.remember_source(author.id, opened, {}, remembered=True)
    report = warehouse.read(opener, author.id, source_id, opened, progress=progress)
    return Imported(source_id, opened.kind, report)


def source_rows(settings: Settings, readings: Sequence[Reading]) -> list[dict[str, Any]]:
    """Each source with its last reading: those of twin.yaml, read or not, and those that were imported."""
    stored = {(reading.author, reading.kind, reading.location): reading for reading in readings}
    rows: list[dict[str, Any]] = []
    for author in settings.authors:
        named = _named(settings, author)
        imported = [
            key for key, reading in stored.items() if key[0] == author.id and reading.remembered and key not in named
        ]
        due = croniter(author.schedule, datetime.now(UTC)).get_next(datetime) if author.schedule else None
        for key in (*named, *imported):
            reading = stored.get(key)
            rows.append(
                {
                    "id": reading and reading.id,
                    "imported": key not in named,
                    "author": author.id,
                    "kind": key[1],
                    "location": key[2],
                    "read_at": reading and reading.read_at,
                    "counts": reading and reading.counts,
                    "failure": named.get(key) or (reading and reading.failure),
                    "failed_at": reading and reading.failed_at,
                    "next": due if key in named else None,
                }
            )
    return rows


def is_configured(settings: Settings, source: Reading) -> bool:
    """Whether a source stands in ``twin.yaml``, so that the next run reads it again."""
    return any(
        (author.id, source.kind, source.location) in _named(settings, author)
        for author in settings.authors
        if author.id == source.author
    )


def drop(
    settings: Settings, engine: sa.Engine, source: Reading, way: Way, *, why: str, retire: bool = False
) -> Dropped:
    """Drop a source. What is forgotten is never collected again, from whichever source; one that stands in
    ``twin.yaml`` can only be forgotten, and what it publishes later is read.

    Args:
        why: kept with the ids of the documents that are forgotten.
        retire: whether adapters that were trained on them are taken out of use.

    Raises:
        SourceConfigured: it is only to be no longer read, and stands in ``twin.yaml``.
    """
    configured = is_configured(settings, source)
    if configured and way == "stop":
        raise SourceConfigured(
            f"{source.kind} {source.location} stands in twin.yaml; take it out of the sources of {source.author} "
            "there, and the next run drops it"
        )
    forgotten = None
    sources = Sources(engine)
    if way == "forget" and sources.holds_documents(source.id):
        forgotten = Forgetting(settings, engine).source(source.author, source.id, why, retire=retire)
    gone = 0 if configured else sources.drop(source.author, source.id)
    return Dropped(len(forgotten.documents) if forgotten else gone, configured, forgotten)


def _named(settings: Settings, author: AuthorSettings) -> dict[tuple[str, str, str], str | None]:
    """Author, kind and location of each source in twin.yaml, with what is wrong with it there."""
    found: dict[tuple[str, str, str], str | None] = {}
    for entry in author.sources:
        try:
            opened = SourceOpener.of(settings).entry(author.author, entry)
            found[author.id, opened.kind, opened.location] = None
        except SourceError as error:
            found[author.id, entry.kind, entry.location] = str(error)
    return found
