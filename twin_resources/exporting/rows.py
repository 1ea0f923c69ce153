"""The rows of a dataset version of any kind, as they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from twin_resources.rag.prompt import spelled_out
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.datasets import Datasets, DatasetVersion

FILES = {
    "instruct": {"train": "train.parquet", "validation": "validation.parquet", "test": "test.parquet"},
    "retrieval": {"test": "queries.parquet"},
    "preference": {"train": "pairs.parquet"},
}
"""The data file of each split, by kind of dataset."""


@dataclass(frozen=True)
class Row:
    """One sample as far as versions are compared by it; ``asked`` and ``answer`` are empty where the files of its
    version are gone."""

    id: str
    split: str
    document_id: str
    url: str
    kind: str = ""
    asked: str = ""
    answer: str = ""


def stored(folder: Path, kind: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Each split of a version with its rows."""
    for split, name in FILES[kind].items():
        yield split, pq.read_table(folder / name).to_pylist()


def safe(value: Any) -> Any:
    """A stored value with the control tokens in all its texts spelled out: programs elsewhere may read them as such."""
    if isinstance(value, str):
        return spelled_out(value)
    if isinstance(value, list):
        return [safe(each) for each in value]
    return {name: safe(each) for name, each in value.items()} if isinstance(value, dict) else value


def samples(catalogue: Datasets, artifacts: ArtifactStore, version: DatasetVersion) -> list[Row]:
    """The samples of a version, from its files, or from the catalogue where those are gone."""
    if not artifacts.exists(version.artifact):
        members = catalogue.members(version.id)
        return list({(each.sample_id, each.document_id): _bare(each) for each in members}.values())
    return [
        Row(
            row["id"],
            split,
            row.get("document_id", ""),
            row.get("url", ""),
            row.get("kind", ""),
            row.get("instruction") or row.get("text") or row.get("prompt") or "",
            row.get("answer") or row.get("chosen") or "",
        )
        for split, rows in stored(artifacts.folder(version.artifact), version.kind)
        for row in rows
    ]


def _bare(member: Any) -> Row:
    return Row(member.sample_id, member.split, member.document_id, member.url)
