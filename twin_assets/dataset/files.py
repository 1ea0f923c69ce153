"""Dataset versions as immutable folders of Parquet files with a manifest."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from twin_assets.dataset.generators.preference import PreferencePair
from twin_assets.dataset.generators.retrieval import Query, RetrievalDataset
from twin_assets.dataset.samples import InstructDataset, InstructSample, SamplePassage, Turn
from twin_assets.dataset.splits import Split

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
MANIFEST = "manifest.json"

_PAGE = 256
_SAMPLE = pa.schema(
    [
        ("id", pa.string()),
        ("category", pa.string()),
        ("kind", pa.string()),
        ("instruction", pa.string()),
        ("answer", pa.string()),
        (
            "passages",
            pa.list_(pa.struct([("title", pa.string()), ("text", pa.string()), ("chunk_id", pa.string())])),
        ),
        ("document_id", pa.string()),
        ("url", pa.string()),
        ("chunk_ids", pa.list_(pa.string())),
        ("reviewed_by", pa.string()),
        ("generated_id", pa.string()),
        (
            "history",
            pa.list_(pa.struct([("instruction", pa.string()), ("answer", pa.string()), ("sample_id", pa.string())])),
        ),
        ("paraphrase_of", pa.string()),
    ]
)
_QUERY = pa.schema(
    [
        ("id", pa.string()),
        ("kind", pa.string()),
        ("text", pa.string()),
        ("relevant", pa.list_(pa.string())),
        ("document_id", pa.string()),
        ("url", pa.string()),
        ("part", pa.string()),
    ]
)
_PAIR = pa.schema(
    [(field.name, pa.bool_() if field.name == "whole" else pa.string()) for field in fields(PreferencePair)]
)


def _write(path: Path, rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> None:
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema), path, compression="zstd")


def read(path: Path) -> list[dict[str, Any]]:
    """Rows of one Parquet file of a dataset version, as they are stored."""
    return pq.read_table(path).to_pylist()


def read_samples(path: Path) -> list[InstructSample]:
    """Samples of one split, whose name is that of the file."""
    return [_sample(row, cast(Split, path.stem)) for row in read(path)]


def stream_samples(path: Path) -> Iterator[InstructSample]:
    """:func:`read_samples`, of which a page at a time is in memory."""
    with pq.ParquetFile(path) as stored:
        for page in stored.iter_batches(_PAGE):
            yield from (_sample(row, cast(Split, path.stem)) for row in page.to_pylist())


def read_queries(folder: Path, *, among: Container[str] | None = None) -> list[Query]:
    """The questions of a retrieval dataset.

    Args:
        among: ids of the passages there are. A dataset is not made anew for each edit, so a question about what was
            edited is left out; it would count as not found.
    """
    queries = [Query(**{**row, "relevant": tuple(row["relevant"])}) for row in read(folder / "queries.parquet")]
    return [query for query in queries if among is None or all(key in among for key in query.relevant)]


def stream_pairs(folder: Path) -> Iterator[PreferencePair]:
    """The pairs of a preference dataset, of which a page at a time is in memory."""
    with pq.ParquetFile(folder / "pairs.parquet") as stored:
        for page in stored.iter_batches(_PAGE):
            yield from (PreferencePair(**row) for row in page.to_pylist())


def _sample(row: Mapping[str, Any], split: Split) -> InstructSample:
    passages = tuple(SamplePassage(**passage) for passage in row["passages"])
    history = tuple(Turn(**turn) for turn in row.get("history") or ())
    lists = {"passages": passages, "chunk_ids": tuple(row["chunk_ids"]), "history": history}
    return InstructSample(**{**row, "split": split, **lists})


def write_instruct(folder: Path, dataset: InstructDataset) -> None:
    """``train.parquet``, ``validation.parquet`` and ``test.parquet``."""
    for split in SPLITS:
        _write(folder / f"{split}.parquet", [_row(sample) for sample in dataset.split(split)], _SAMPLE)


def _row(sample: InstructSample) -> dict[str, Any]:
    row = asdict(sample)
    del row["split"]
    return row


def write_retrieval(folder: Path, dataset: RetrievalDataset) -> None:
    """``queries.parquet``."""
    _write(folder / "queries.parquet", [asdict(query) for query in dataset.queries], _QUERY)


def write_preference(folder: Path, pairs: Sequence[PreferencePair]) -> None:
    """``pairs.parquet``."""
    _write(folder / "pairs.parquet", [asdict(pair) for pair in pairs], _PAIR)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """``manifest.json``: what a version was made of and how, besides its card."""
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False)
    (folder / MANIFEST).write_text(f"{text}\n", encoding="utf-8")
