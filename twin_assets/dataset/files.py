"""Writing dataset versions as immutable Parquet folders with a card."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from twin_assets.dataset.preference import PreferencePair
from twin_assets.dataset.retrieval import Query, RetrievalDataset
from twin_assets.dataset.samples import InstructDataset, InstructSample, SamplePassage
from twin_assets.dataset.splits import Split

SPLITS: tuple[Split, ...] = ("train", "validation", "test")

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
_PAIR = pa.schema([(name, pa.string()) for name in ("id", "prompt", "chosen", "rejected", "trace_id")])


def _write(path: Path, rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> None:
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema), path, compression="zstd")


def read(path: Path) -> list[dict[str, Any]]:
    """Rows of one Parquet file of a dataset version, as they are stored."""
    return pq.read_table(path).to_pylist()


def read_samples(path: Path) -> list[InstructSample]:
    """Samples of one split, whose name is that of the file."""
    return [_sample(row, cast(Split, path.stem)) for row in read(path)]


def read_queries(folder: Path, *, among: Container[str]) -> list[Query]:
    """The questions of a retrieval dataset whose passages all are still there: a dataset is not made anew for each
    edit, and a question about what was edited would count as not found.

    Args:
        among: ids of the passages there are.
    """
    queries = [Query(**{**row, "relevant": tuple(row["relevant"])}) for row in read(folder / "queries.parquet")]
    return [query for query in queries if all(key in among for key in query.relevant)]


def _sample(row: Mapping[str, Any], split: Split) -> InstructSample:
    passages = tuple(SamplePassage(**passage) for passage in row["passages"])
    return InstructSample(**{**row, "split": split, "passages": passages, "chunk_ids": tuple(row["chunk_ids"])})


def write_instruct(folder: Path, dataset: InstructDataset, card: str) -> None:
    """``train.parquet``, ``validation.parquet``, ``test.parquet`` and the card."""
    for split in SPLITS:
        _write(folder / f"{split}.parquet", [_row(sample) for sample in dataset.split(split)], _SAMPLE)
    (folder / "README.md").write_text(card, encoding="utf-8")


def _row(sample: InstructSample) -> dict[str, Any]:
    row = asdict(sample)
    del row["split"]
    return row


def write_retrieval(folder: Path, dataset: RetrievalDataset, card: str) -> None:
    """``queries.parquet`` and the card."""
    _write(folder / "queries.parquet", [asdict(query) for query in dataset.queries], _QUERY)
    (folder / "README.md").write_text(card, encoding="utf-8")


def write_preference(folder: Path, pairs: Sequence[PreferencePair], card: str) -> None:
    """``pairs.parquet`` and the card."""
    _write(folder / "pairs.parquet", [asdict(pair) for pair in pairs], _PAIR)
    (folder / "README.md").write_text(card, encoding="utf-8")


def card(title: str, what: str, facts: Mapping[str, Any], dropped: Mapping[str, int], example: str) -> str:
    """A dataset card in the form that model hubs show: what it is, how it was made, what was left out."""
    lines = [f"# {title}", "", what, "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in facts.items()]
    lines += ["", "## Left out", ""]
    lines += [f"- {reason}: {count}" for reason, count in sorted(dropped.items())] or ["Nothing."]
    return "\n".join([*lines, "", "## An example", "", example, ""])
