"""Datasets of every shape become samples; what is none says which record and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twin_resources.quality import texts
from twin_resources.quality.reading import DatasetUnreadable, samples, split_of
from twin_resources.quality.texts import SourcesUnreadable


def put(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(each) + "\n" for each in value), encoding="utf-8")
    else:
        path.write_text(json.dumps(value), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("record", "instruction", "answer"),
    [
        ({"instruction": "Why?", "input": "", "output": "So."}, "Why?", "So."),
        ({"prompt": "Why?", "completion": "So."}, "Why?", "So."),
        ({"question": "Why?", "answer": "So."}, "Why?", "So."),
        ({"conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]}, "Why?", "So."),
        (
            {
                "messages": [
                    {"role": "system", "content": "Be kind."},
                    {"role": "user", "content": [{"type": "text", "text": "Why?"}]},
                    {"role": "assistant", "content": "So."},
                ]
            },
            "Why?",
            "So.",
        ),
        ({"prompt": "Why?", "chosen": "So.", "rejected": "No."}, "Why?", "So."),
        (
            {
                "chosen": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}],
                "rejected": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "No."}],
            },
            "Why?",
            "So.",
        ),
    ],
)
def test_every_shape_of_a_record_is_read(tmp_path: Path, record: Any, instruction: str, answer: str) -> None:
    for name in ("data.json", "data.jsonl"):
        (found,) = samples([put(tmp_path / name, [record])])
        assert (found.instruction, found.answer) == (instruction, answer)
        assert found.rejected == ("No." if "rejected" in record else None)


def test_an_input_is_what_the_answer_is_made_from(tmp_path: Path) -> None:
    record = {"instruction": "Sum up.", "input": "A long text.", "output": "Long."}
    (found,) = samples([put(tmp_path / "a.json", [record])])
    assert found.context == ("A long text.",)


def test_splits_are_told_by_names_and_numbers_run_over_all_files(tmp_path: Path) -> None:
    record = {"instruction": "Why?", "output": "So."}
    files = [put(tmp_path / name, [record, record]) for name in ("my-train.json", "eval.jsonl", "x/valid/0.json")]
    found = list(samples(files))
    assert [each.split for each in found] == ["train"] * 2 + ["test"] * 2 + ["validation"] * 2
    assert [each.index for each in found] == list(range(6))
    assert split_of("contest-entries") is None
    nested = {
        "train": {"articles": {"category": "articles", "samples": [record]}},
        "test": {"posts": {"samples": [record]}},
    }
    assert [each.split for each in samples([put(tmp_path / "all.json", nested)])] == ["train", "test"]


def test_parquet_is_read_with_its_passages(tmp_path: Path) -> None:
    row = {
        "instruction": "Why?",
        "answer": "So it is. [2]",
        "passages": [
            {"title": "A", "text": "No.", "chunk_id": "a"},
            {"title": "B", "text": "So it is.", "chunk_id": "b"},
        ],
        "chunk_ids": ["b", "a"],
        "url": "https://ada.example/b",
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "train.parquet")
    (found,) = samples([tmp_path])
    assert found.context == ("No.", "So it is.")
    assert found.cited == 2
    assert found.origins == ("https://ada.example/b",)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.json", "{not json", "not JSON"),
        ("a.jsonl", '{"instruction": "a", "output": "b"}\n[1]\n', "line 2: a list, not an object"),
        ("a.json", '[{"text": "only text"}]', "record 1: no instruction and answer among its fields (text)"),
        ("a.json", '["a"]', "a str, not an object"),
        ("a.json", "[]", "no records"),
        ("a.csv", "a,b", ".csv is not read"),
        ("a.parquet", "no parquet", "not a Parquet file"),
    ],
)
def test_what_is_no_dataset_names_file_and_reason(tmp_path: Path, name: str, content: str, says: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DatasetUnreadable) as problem:
        list(samples([path]))
    assert str(path) in problem.value.message
    assert says in problem.value.message
    assert problem.value.remedy
    with pytest.raises(DatasetUnreadable, match="no such file"):
        list(samples([tmp_path / "gone.json"]))


def test_sources_of_every_shape_are_read(tmp_path: Path, data: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "tide.md").write_text("# The tide\n\nIt comes.", encoding="utf-8")
    put(tmp_path / "docs.jsonl", [{"url": "https://a.example/1", "title": "One", "text": "Words of one."}])
    put(tmp_path / "list.json", {"documents": [{"id": "x", "content": {"Title": "Two", "Content": "Words of two."}}]})
    found = list(texts.sources([tmp_path / "notes", tmp_path / "docs.jsonl", tmp_path / "list.json"]))
    assert [each.title for each in found] == ["The tide", "One", "Two"]
    assert "https://a.example/1" in found[1].names
    assert "Words of two." in found[2].text
    assert list(texts.sources([data / "handbook" / "ArticleDocument.json"]))
    with pytest.raises(SourcesUnreadable, match="no such file"):
        list(texts.sources([tmp_path / "gone.md"]))
