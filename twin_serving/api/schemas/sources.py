"""What is read for an author, what it gave, and what could not be read."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from twin_serving.api.schemas.base import Category, Out
from twin_serving.api.schemas.documents import TrainedAdapter


class SourceOut(Out):
    """A source with its last reading; ``imported`` ones do not stand in `twin.yaml`, and ``id`` is null before the
    first reading. ``counts`` says what the last reading gave."""

    id: str | None
    author: str
    kind: str
    location: str
    imported: bool
    read_at: datetime | None
    counts: dict[str, Any] | None
    failure: str | None
    failed_at: datetime | None
    next: datetime | None = Field(description="when the schedule reads it again")


class SourcesOut(Out):
    """Every source: those of `twin.yaml`, read or not, and those that were imported."""

    sources: list[SourceOut]


class HeldOut(Out):
    """What there is of a source, and goes with it where it is forgotten: its documents, those it had before among
    them, ``copies`` of the same text from other sources, and what was made of any of them. A ``configured`` source
    stands in `twin.yaml`: what it publishes later is read as long as it does."""

    id: str
    author: str
    kind: str
    location: str
    configured: bool
    documents: int
    copies: int
    passages: int
    samples: int
    datasets: int = Field(description="versions that hold such samples")
    adapters: list[TrainedAdapter] = Field(description="trained on any of it")


class DroppedOut(Out):
    """What went with a source; ``datasets`` lost their files. ``adapters`` were trained on it and keep what they
    learned; ``retired`` are those that were taken out of use."""

    source_id: str
    author: str
    way: Literal["forget", "stop"]
    configured: bool = Field(description="it stands in `twin.yaml`, so what it publishes later is read")
    documents: int
    vectors: int = Field(description="that nothing else needs")
    questions: int
    reports: int
    datasets: int
    adapters: list[str]
    retired: list[str]
    out_of_reach: str | None = Field(description="what may still hold it; null where nothing was forgotten")


class UnreadableOut(Out):
    """An item of a source that could not be read, why, and what to do."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    source_id: str
    item: str
    reason: str
    remedy: str
    seen_at: datetime


class QuarantineOut(Out):
    """What could not be read, the newest first; ``total`` counts all of it."""

    author: str
    items: list[UnreadableOut]
    total: int
    next: str | None = Field(description="send it as `cursor`; null at the end")


class ImportedOut(Out):
    """What became of a file: as which kind of source it was read, and how many items were found, new, changed,
    unchanged, skipped (by reason) and quarantined."""

    author: str
    source_id: str
    kind: str
    name: str
    found: int
    new: int
    changed: int
    unchanged: int
    gone: int
    missing_kept: int
    skipped: dict[str, int]
    quarantined: list[dict[str, str]]


class ListedOut(Out):
    """A document. ``searchable`` documents are found; one that is ``left_out`` has its reason in ``excluded``; one that
    is ``waiting`` has not been through the graph yet."""

    model_config = ConfigDict(from_attributes=True)

    document_id: str
    title: str
    url: str
    platform: str
    category: Category
    source_id: str | None
    published_at: datetime | None
    words: int | None
    state: Literal["searchable", "left_out", "waiting"]
    excluded: str | None
    duplicate_of: str | None = Field(description="the document that this one repeats")


class CountOut(Out):
    """How many documents have all this in common."""

    model_config = ConfigDict(from_attributes=True)

    source_id: str | None
    platform: str
    category: str
    state: str
    excluded: str | None
    documents: int


class ListingOut(Out):
    """One page of documents, the newest first. ``counts`` are of all documents of the author, whatever is asked for."""

    author: str
    documents: list[ListedOut]
    counts: list[CountOut]
    next: str | None = Field(description="send it as `cursor`; null at the end")
