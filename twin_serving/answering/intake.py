"""Documents that are sent to the API: they enter the warehouse as those of any other source do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import sqlalchemy as sa
from pydantic import ValidationError
from twin_resources.text.identity import document_id

from twin_resources.config.settings import Settings
from twin_resources.database.schema import document, forgotten
from twin_resources.sources.base import RawDocument, Source
from twin_resources.storage.warehouse import Warehouse
from twin_serving.api.schemas import DocumentIn

ORIGIN = "api"


class Sent(Source):
    """What ``POST /documents`` brought. It is no source of ``twin.yaml``: there is no place to read it from again."""

    kind: ClassVar[str] = "api"
    platform: ClassVar[str] = ORIGIN
    format: ClassVar[str] = "api"


class Intake:
    """Checks documents one by one and stores the good ones."""

    def __init__(self, warehouse: Warehouse, settings: Settings) -> None:
        self.warehouse = warehouse
        self.settings = settings

    def store(self, author_id: str, documents: Sequence[Any]) -> dict[str, Any]:
        """Store what is valid.

        Returns:
            ``accepted`` (new or changed), ``unchanged``, ``rejected`` with place and reason, and the ids.
        """
        author = self.settings.author(author_id)
        taken: dict[str, tuple[int, RawDocument]] = {}
        rejected: list[dict[str, Any]] = []
        for index, value in enumerate(documents):
            try:
                raw = DocumentIn.model_validate(value).raw()
            except ValidationError as error:
                rejected.append({"index": index, "error": reasons(error)})
                continue
            key = document_id(author_id, raw.url)
            if key in taken:
                rejected.append({"index": index, "error": f"the same URL as document {taken[key][0]} of this request"})
            else:
                taken[key] = (index, raw)
        self.warehouse.record_author(author)
        for key, why in self._refused(author_id, list(taken)).items():
            index, _ = taken.pop(key)
            rejected.append({"index": index, "error": why})
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
        return {
            "accepted": accepted,
            "unchanged": unchanged,
            "rejected": sorted(rejected, key=lambda each: each["index"]),
            "documents": [{"index": index, "id": key, "url": raw.url} for key, (index, raw) in taken.items()],
        }

    def _refused(self, author_id: str, keys: Sequence[str]) -> dict[str, str]:
        """Documents that may not come in: forgotten ones, and those another source provides."""
        with self.warehouse.engine.connect() as session:
            gone = session.scalars(
                sa.select(forgotten.c.document_id).where(
                    forgotten.c.author == author_id, forgotten.c.document_id.in_(keys)
                )
            )
            found = dict.fromkeys(gone, "this document was forgotten on request and is never collected again")
            owned = session.execute(
                sa.select(document.c.id, document.c.origin).where(
                    document.c.id.in_(keys), document.c.gone_at.is_(None), document.c.origin != ORIGIN
                )
            )
            for row in owned:
                found[row.id] = (
                    f"the source {row.origin} provides this URL; change it there, or take it out of twin.yaml"
                )
        return found


def reasons(error: ValidationError) -> str:
    """All that is wrong with one document, in a line."""
    found = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        found.append(f"{where}: {message}" if where else message)
    return "; ".join(found)
