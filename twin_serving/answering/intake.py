"""Documents that are sent to the API: they enter the warehouse as those of any other source do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from twin_resources.config.settings import Settings
from twin_resources.sources.base import RawDocument, Source
from twin_resources.storage.documents import Documents
from twin_resources.storage.warehouse import Warehouse
from twin_resources.text.identity import document_id

ORIGIN = "api"


class Sent(Source):
    """What ``POST /documents`` brought. It is no source of ``twin.yaml``: there is no place to read it from again."""

    kind: ClassVar[str] = "api"
    platform: ClassVar[str] = ORIGIN
    format: ClassVar[str] = "api"


@dataclass(frozen=True)
class Rejection:
    """A document that was not taken, by its place in the request."""

    index: int
    error: str


@dataclass(frozen=True)
class StoredDocument:
    """A document that was taken or was there already."""

    index: int
    id: str
    url: str


@dataclass(frozen=True)
class IntakeReport:
    """What became of the documents: ``accepted`` are new or changed."""

    accepted: int
    unchanged: int
    rejected: Sequence[Rejection]
    documents: Sequence[StoredDocument]


class Intake:
    """Checks documents one by one and stores the good ones."""

    def __init__(self, warehouse: Warehouse, settings: Settings) -> None:
        self.warehouse = warehouse
        self.documents = Documents(warehouse.engine)
        self.settings = settings

    def store(self, author_id: str, documents: Mapping[int, RawDocument]) -> IntakeReport:
        """Store what may come in.

        Args:
            documents: by their place in the request.
        """
        author = self.settings.author(author_id)
        taken: dict[str, tuple[int, RawDocument]] = {}
        rejected: list[Rejection] = []
        for index, raw in documents.items():
            key = document_id(author_id, raw.url)
            if key in taken:
                rejected.append(Rejection(index, f"the same URL as document {taken[key][0]} of this request"))
            else:
                taken[key] = (index, raw)
        self.warehouse.record_author(author)
        for key, why in self._refused(author_id, {key: raw.url for key, (_, raw) in taken.items()}).items():
            index, _ = taken.pop(key)
            rejected.append(Rejection(index, why))
        accepted = unchanged = 0
        if taken:
            opened = Sent("POST /documents", author.author)
            source_id = self.warehouse.remember_source(author_id, opened, {}, remembered=True)
            report = self.warehouse.collect(
                author_id,
                source_id,
                [raw for _, raw in taken.values()],
                origin=ORIGIN,
                name="POST /documents",
                complete=False,
            )
            accepted, unchanged = report.new + report.changed, report.unchanged
            if report.skipped:
                unchanged += sum(report.skipped.values())
        stored = self.documents.at(author_id, [raw.url for _, raw in taken.values()])
        return IntakeReport(
            accepted,
            unchanged,
            rejected,
            [  # a document that moved keeps the id of its first address
                StoredDocument(index, stored[raw.url].id if raw.url in stored else key, raw.url)
                for key, (index, raw) in taken.items()
            ],
        )

    def _refused(self, author_id: str, urls: Mapping[str, str]) -> dict[str, str]:
        """Documents that may not come in, by their keys: forgotten ones, and those another source provides."""
        forgotten = self.documents.forgotten(author_id, list(urls))
        found = dict.fromkeys(forgotten, "this document was forgotten on request and is never collected again")
        stored = self.documents.at(author_id, list(urls.values()))
        for key, url in urls.items():
            there = stored.get(url)
            if there and not there.gone and there.origin != ORIGIN:
                found[key] = (
                    f"the source {there.origin} provides this URL; change it there, or take it out of twin.yaml"
                )
        return found
