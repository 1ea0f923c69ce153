"""What changed between two dataset versions, writing one out, and where its samples come from."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from twin_assets.dataset import files
from twin_assets.dataset.samples import InstructDataset
from twin_assets_tests.support import rows
from twin_assets_tests.support.command_line import URL, Twin, add_dataset, document_of
from twin_resources.config.settings import load
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.datasets import Datasets, Member
from twin_resources.storage.samples.reviews import Reviews


def test_versions_are_listed_with_what_is_in_them_and_what_was_left_out(ada: Twin, engine: sa.Engine) -> None:
    members = [
        Member("s1", "c1", "A", "https://x/a", "train"),
        Member("s1", "c2", "A", "https://x/a", "train"),
        Member("s2", "c3", "B", "https://x/b", "test"),
    ]
    manifest = {
        "kinds": {"section": 1, "code": 1},
        "passages": 9,
        "candidates": 6,
        "dropped": {"too_short": 1, "exact_duplicate": 3},
        "checks": {"grounded": True},
    }
    Datasets(engine).add("one1", "ada", "instruct", "datasets/none", manifest, members)
    (found,) = ada.json("datasets")
    assert {name: found[name] for name in ("id", "samples", "documents", "splits", "passages", "candidates")} == {
        "id": "one1",
        "samples": 2,
        "documents": 2,
        "splits": {"train": 1, "test": 1},
        "passages": 9,
        "candidates": 6,
    }
    assert list(found["dropped"].items()) == [("exact_duplicate", 3), ("too_short", 1)]
    assert (found["checks"], found["kinds"]) == ({"grounded": True}, {"code": 1, "section": 1})
    told = ada("datasets")
    assert "1 train, 1 test" in told
    assert "3 exact duplicate" in told


def test_a_diff_counts_samples_by_document(ada: Twin, engine: sa.Engine) -> None:
    a, b, c = ("A", "https://x/a"), ("B", "https://x/b"), ("C", "https://x/c")
    add_dataset(engine, "old1", {"s1": a, "s2": a, "s3": b, "s9": ("D", "https://x/d")})
    add_dataset(engine, "new1", {"s1": a, "s4": a, "s5": c, "s9": ("D", "https://x/d")})
    found = ada.json("diff", "old", "new")
    changes = {entry["url"]: (entry["change"], entry["added"], entry["removed"]) for entry in found["documents"]}
    assert changes == {
        "https://x/a": ("changed", 1, 1),
        "https://x/b": ("removed", 0, 1),
        "https://x/c": ("added", 1, 0),
    }
    assert (found["unchanged"], found["before"]["documents"], found["after"]["documents"]) == (1, 3, 3)
    assert "1 documents did not change" in ada("diff", "old1", "new1")
    assert "no one dataset version starts with 'zzz'" in ada("diff", "zzz", "new1", code=1)


def add_files(engine: sa.Engine, name: str, folder: Path, answers: dict[str, str]) -> None:
    """A version with files, one sample a question."""
    made = [rows.sample(asked, said, id=f"{name}-{asked}", document_id=asked, url=f"https://x/{asked}")
            for asked, said in answers.items()]  # fmt: skip
    folder.mkdir()
    files.write_instruct(folder, InstructDataset("ada", made))
    (folder / "README.md").write_text("# A card\n")
    members = [Member(each.id, "c", each.document_id, each.url, "train") for each in made]
    address = ArtifactStore.of(load()).put("datasets/instruct", folder)
    Datasets(engine).add(name, "ada", "instruct", address, {"splits": {"train": len(made)}}, members)


def test_a_sample_whose_answer_was_edited_is_changed_and_shown(ada: Twin, engine: sa.Engine, tmp_path: Path) -> None:
    add_files(engine, "old1", tmp_path / "old", {"ropes": "A rope.", "tar": "Tar."})
    add_files(engine, "new1", tmp_path / "new", {"ropes": "A rope, mended.", "sails": "Sails."})
    found = {each["document_id"]: each for each in ada.json("diff", "old1", "new1")["documents"]}
    assert {key: each["change"] for key, each in found.items()} == {
        "ropes": "changed", "tar": "removed", "sails": "added"
    }  # fmt: skip
    assert [found["ropes"][name] for name in ("added", "removed", "changed")] == [0, 0, 1]
    assert found["ropes"]["samples"][0]["after"]["answer"] == "A rope, mended."
    assert "A rope, mended." in ada("diff", "old1", "new1", "--samples")


def test_how_far_the_review_is_and_where_it_goes_on(ada: Twin, engine: sa.Engine, tmp_path: Path) -> None:
    assert "no dataset version to review" in ada("review")
    key = document_of(engine, URL)
    made = [rows.sample(f"Why {number}?", f"So {number}.", id=f"s{number}", document_id=key) for number in range(4)]
    folder = tmp_path / "made"
    folder.mkdir()
    files.write_instruct(folder, InstructDataset("ada", made))
    Datasets(engine).add("one1", "ada", "instruct", ArtifactStore.of(load()).put("datasets/instruct", folder), {}, [])
    Reviews(engine).decide("ada", key, "s0", verdict="accepted", by="local")
    Reviews(engine).decide("ada", key, "s1", verdict="rejected", by="local")
    told = ada("review")
    assert "2 of 4 samples of ada are reviewed: 2 unreviewed, 1 accepted, 1 rejected, 0 edited" in told
    assert "twin run --author ada --select 'datasets/instruct'" in told
    found = ada.json("review")
    assert (found["reviewed"], found["waiting"]) == (2, 1)
    assert found["page"].endswith("/review")


def test_a_version_is_written_for_other_programs(
    ada: Twin, engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_files(engine, "one1", tmp_path / "one", {"ropes": "A rope."})
    done = ada.json("export", "one", "--format", "alpaca", "--out", str(tmp_path / "out"))
    assert done["rows"] == {"train.jsonl": 1, "validation.jsonl": 0, "test.jsonl": 0}
    assert '"output": "A rope."' in (tmp_path / "out" / "train.jsonl").read_text()
    assert "is not empty" in ada("export", "one1", "--out", str(tmp_path / "out"), code=1)
    assert "no one dataset version starts with 'zzz'" in ada("export", "zzz", "--out", str(tmp_path / "x"), code=1)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    told = ada("export", "one1", "--out", str(tmp_path / "pushed"), "--push", "ada/ropes", code=1)
    assert "HF_TOKEN" in told
    assert not (tmp_path / "pushed").exists(), "and nothing is written"


def test_lineage_goes_both_ways(ada: Twin, engine: sa.Engine) -> None:
    document = ada.json("lineage", "https://ada.example/a")["documents"][0]
    assert len(document["versions"]) == 1
    add_dataset(engine, "data1", {"s1": (document["id"], "https://ada.example/a")})
    assert [each["sample_id"] for each in ada.json("lineage", "https://ada.example/a")["documents"][0]["samples"]] == [
        "s1"
    ]
    assert ada.json("lineage", "s1")["datasets"][0]["id"] == "data1"
    assert "data1" in ada("lineage", "s1")
    assert "s1" in ada("lineage", "https://ada.example/a")
    assert "no sample of a dataset" in ada("lineage", "nothing", code=1)
