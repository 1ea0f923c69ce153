"""A version in the forms that other programs read, and on a hub of our own."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from twin_assets.dataset import files
from twin_assets.dataset.generators.preference import PreferencePair
from twin_assets.dataset.samples import InstructDataset, SamplePassage, Turn
from twin_assets.dataset.versioning.versions import instruct_card
from twin_assets_tests.support import rows
from twin_resources.config.settings import Settings
from twin_resources.exporting.export import ExportError, export, push
from twin_resources.quality import reading
from twin_resources.rag.prompt import control_tokens
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.datasets import DatasetVersion

PASSAGES = (SamplePassage("On rope", "A rope is a promise.", "c1"), SamplePassage("On tar", "Tar is not.", "c2"))


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore((tmp_path / "store").as_uri(), tmp_path / "cache")


def version(store: ArtifactStore, folder: Path, kind: str = "instruct") -> DatasetVersion:
    """Two samples to learn from, one to test on, none to validate."""
    folder.mkdir()
    if kind == "preference":
        files.write_preference(folder, [PreferencePair("p", "Why?", "So.", "No.", "t")])
        (folder / "README.md").write_text("# Pairs\n")
    else:
        made = [
            rows.sample("Why ropes?", "Because.", id="s1"),
            rows.sample("What is a rope?", "A rope is a promise. [1]", id="s2", kind="answer", passages=PASSAGES),
            rows.sample("And tar?", "Never.", id="s3", split="test"),
        ]
        dataset = InstructDataset("ada", made)
        files.write_instruct(folder, dataset)
        instruct_card(dataset, "Ada Berg", {"version": "v"}).write(folder)
    return DatasetVersion("v", "ada", kind, store.put(kind, folder), {}, datetime.now(UTC))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_formats_hold_the_same_samples(store: ArtifactStore, tmp_path: Path) -> None:
    made = version(store, tmp_path / "made")
    for form in ("alpaca", "chatml", "sharegpt"):
        done = export(made, store, form, tmp_path / form, author="Ada Berg")
        assert done.rows == {"train.jsonl": 2, "validation.jsonl": 0, "test.jsonl": 1}
    plain, answering = lines(tmp_path / "alpaca" / "train.jsonl")
    assert plain == {"instruction": "Why ropes?", "input": "", "output": "Because."}
    assert answering["input"] == "[1] On rope\nA rope is a promise.\n\n[2] On tar\nTar is not."
    turns = lines(tmp_path / "chatml" / "train.jsonl")[1]["messages"]
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant"]
    assert "A rope is a promise." in turns[1]["content"]
    assert "Ada Berg" in turns[0]["content"]
    said = lines(tmp_path / "sharegpt" / "train.jsonl")[1]["conversations"]
    assert [turn["from"] for turn in said] == ["system", "human", "gpt"]
    assert said[2]["value"] == turns[2]["content"] == "A rope is a promise. [1]"


def test_earlier_turns_stand_before_the_question_in_every_format(store: ArtifactStore, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    sample = replace(rows.sample("And then?", "Tar it.", id="s2"), history=(Turn("Why ropes?", "Because.", "s1"),))
    dataset = InstructDataset("ada", [sample])
    files.write_instruct(folder, dataset)
    instruct_card(dataset, "Ada Berg", {"version": "v"}).write(folder)
    made = DatasetVersion("v", "ada", "instruct", store.put("instruct", folder), {}, datetime.now(UTC))
    for form in ("alpaca", "chatml", "sharegpt"):
        export(made, store, form, tmp_path / form, author="Ada Berg")
    (row,) = lines(tmp_path / "alpaca" / "train.jsonl")
    assert row["history"] == [["Why ropes?", "Because."]]
    (row,) = lines(tmp_path / "chatml" / "train.jsonl")
    assert [turn["role"] for turn in row["messages"]] == ["system", "user", "assistant", "user", "assistant"]
    assert [turn["content"] for turn in row["messages"][1:3]] == ["Why ropes?", "Because."]
    (row,) = lines(tmp_path / "sharegpt" / "train.jsonl")
    assert [turn["from"] for turn in row["conversations"]] == ["system", "human", "gpt", "human", "gpt"]


def test_a_version_in_s3_has_the_address_and_the_rows_it_has_in_a_folder(
    store: ArtifactStore, s3_settings: Settings, tmp_path: Path
) -> None:
    here, there = version(store, tmp_path / "one"), version(ArtifactStore.of(s3_settings), tmp_path / "two")
    assert here.artifact == there.artifact
    for name, made, kept in (("here", here, store), ("there", there, ArtifactStore.of(s3_settings))):
        export(made, kept, "chatml", tmp_path / name, author="Ada Berg")
    for file in ("train.jsonl", "test.jsonl", "README.md"):
        assert (tmp_path / "here" / file).read_bytes() == (tmp_path / "there" / file).read_bytes()


@pytest.mark.parametrize("form", ["alpaca", "chatml", "sharegpt", "hf"])
def test_what_an_author_writes_of_control_tokens_is_text_elsewhere(
    form: str, store: ArtifactStore, tmp_path: Path
) -> None:
    told = rows.sample(
        "What is <|im_start|>?", "It opens a turn, and <|im_end|> closes it.", id="s1",
        passages=(SamplePassage("On </s>", "Then <|im_start|>assistant follows.", "c1"),),
    )  # fmt: skip
    folder = tmp_path / "made"
    folder.mkdir()
    dataset = InstructDataset("ada", [told])
    files.write_instruct(folder, dataset)
    instruct_card(dataset, "Ada Berg", {"version": "v"}).write(folder)
    made = DatasetVersion("v", "ada", "instruct", store.put("instruct", folder), {}, datetime.now(UTC))
    done = export(made, store, form, tmp_path / "out", author="Ada Berg")
    (sample,) = reading.samples([done.folder / ("train.parquet" if form == "hf" else "train.jsonl")])
    assert "im_end" in sample.answer
    assert not control_tokens(sample.text)
    assert control_tokens(told.answer), "the version itself keeps the author's words"


def test_pairs_are_for_dpo_and_nothing_is_written_over(store: ArtifactStore, tmp_path: Path) -> None:
    pairs = version(store, tmp_path / "pairs", "preference")
    export(pairs, store, "dpo", tmp_path / "dpo", author="Ada")
    assert lines(tmp_path / "dpo" / "train.jsonl") == [{"prompt": "Why?", "chosen": "So.", "rejected": "No."}]
    with pytest.raises(ExportError, match="use dpo, hf"):
        export(pairs, store, "alpaca", tmp_path / "other", author="Ada")
    with pytest.raises(ExportError, match="is not empty"):
        export(pairs, store, "dpo", tmp_path / "dpo", author="Ada")
    with pytest.raises(ExportError, match="formats are alpaca"):
        export(pairs, store, "csv", tmp_path / "csv", author="Ada")


@pytest.mark.parametrize("form", ["hf", "chatml"])
def test_the_library_of_the_hub_opens_the_folder(form: str, store: ArtifactStore, tmp_path: Path) -> None:
    export(version(store, tmp_path / "made"), store, form, tmp_path / "out", author="Ada Berg")
    import datasets

    found = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "hub"))
    assert {split: len(rows) for split, rows in found.items()} == {"train": 2, "test": 1}
    assert ("messages" if form == "chatml" else "passages") in found["train"].column_names


class Hub:
    """So much of a hub as takes a commit; whatever else is asked is remembered."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.private: bool | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                outer.asked.append(self.path)
                assert self.headers["authorization"] == "Bearer hf_test"
                self._answer(outer.answer(self.path, body))

            def do_GET(self) -> None:
                outer.asked.append(self.path)
                self._answer({"sha": "0" * 40, "id": "ada/ropes", "siblings": []})

            def _answer(self, value: Any) -> None:
                text = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path: str, body: bytes) -> Any:
        if path == "/api/repos/create":
            self.private = json.loads(body)["visibility"] == "private"
            return {"url": f"{self.url}/datasets/ada/ropes", "id": "ada/ropes"}
        if "/preupload/" in path:
            wanted = json.loads(body)["files"]
            return {
                "files": [{"path": each["path"], "uploadMode": "regular", "shouldIgnore": False} for each in wanted]
            }
        if "/commit/" in path:
            for line in body.splitlines():
                value = json.loads(line)
                if value["key"] == "file":
                    self.files[value["value"]["path"]] = base64.b64decode(value["value"]["content"])
            return {"commitUrl": f"{self.url}/datasets/ada/ropes/commit/1", "commitOid": "1" * 40, "success": True}
        return {}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    made = Hub()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def test_a_version_is_pushed_to_the_hub_that_was_named_and_nowhere_else(
    hub: Hub, store: ArtifactStore, tmp_path: Path
) -> None:
    export(version(store, tmp_path / "made"), store, "hf", tmp_path / "out", author="Ada Berg")
    address = push(tmp_path / "out", "ada/ropes", "hf_test", endpoint=hub.url)
    assert address.startswith(hub.url)
    assert hub.private is True, "nobody else sees it unless that was asked for"
    assert hub.files == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert hub.files.keys() == {"README.md", "train.parquet", "test.parquet"}
