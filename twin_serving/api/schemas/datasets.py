"""Dataset versions, and what changed between two of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from twin_serving.api.schemas.base import Out


class _Row(Out):
    model_config = ConfigDict(from_attributes=True)


class DatasetOut(_Row):
    """A version: samples by split and by kind, documents, and candidates that were left out by reason."""

    id: str
    author: str
    kind: str = Field(description="instruct, preference or retrieval")
    created_at: datetime
    artifact: str
    samples: int
    splits: dict[str, int]
    documents: int
    kinds: dict[str, int]
    passages: int | None = Field(description="what it was made of; null for versions that did not note it")
    candidates: int | None = Field(description="samples before any was left out; null as `passages`")
    dropped: dict[str, int]
    checks: dict[str, bool]
    made_by: dict[str, Any]
    erased: bool = Field(description="whether its files are gone because something in it was forgotten")


class DatasetsOut(Out):
    """One page of versions, the newest first."""

    datasets: list[DatasetOut]
    next: str | None = Field(description="send it as `cursor`; null at the end")


class SampleRowOut(_Row):
    """A sample as far as versions are compared by it; texts are empty where the files of its version are gone."""

    id: str
    split: str
    kind: str
    asked: str
    answer: str


class ChangedSampleOut(_Row):
    """A sample that is in one version only, or that another took the place of."""

    change: str = Field(description="added, removed or changed")
    before: SampleRowOut | None
    after: SampleRowOut | None


class ChangedDocumentOut(_Row):
    """What became of a document's samples."""

    document_id: str
    url: str
    change: str = Field(description="added, removed or changed")
    added: int
    removed: int
    changed: int
    same: int
    samples: list[ChangedSampleOut]


class DatasetDiffOut(Out):
    """What changed between two versions: documents, and entries of their manifests, each before and after."""

    before: DatasetOut
    after: DatasetOut
    documents: list[ChangedDocumentOut] = Field(description="those that changed")
    unchanged: int = Field(description="documents that did not")
    manifest: dict[str, list[Any]]
