"""Artifacts are immutable and found by their content."""

from __future__ import annotations

from pathlib import Path

import pytest

from twin_resources.storage.artifacts import ArtifactError, ArtifactStore


def folder(tmp_path: Path, text: str = "weights") -> Path:
    made = tmp_path / f"made-{text}"
    (made / "deep").mkdir(parents=True)
    (made / "a.txt").write_text(text)
    (made / "deep" / "b.txt").write_text("more")
    return made


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    url = (tmp_path / "store").as_uri() if request.param == "file" else f"memory://{tmp_path.name}"
    return ArtifactStore(url, tmp_path / "cache")


def test_the_same_content_has_one_address(store: ArtifactStore, tmp_path: Path) -> None:
    address = store.put("adapters", folder(tmp_path))
    assert store.put("adapters", folder(tmp_path / "again")) == address
    assert store.put("adapters", folder(tmp_path, "other")) != address
    found = store.folder(address)
    assert (found / "a.txt").read_text() == "weights"
    assert (found / "deep" / "b.txt").read_text() == "more"


def test_half_an_artifact_is_not_there(store: ArtifactStore, tmp_path: Path) -> None:
    address = store.put("adapters", folder(tmp_path))
    store.files.rm(f"{store.root}/{address}/.sealed")
    assert not store.exists(address)
    with pytest.raises(ArtifactError, match=address):
        store.folder(address)
    assert store.put("adapters", folder(tmp_path / "again")) == address, "and writing it again completes it"
    assert store.exists(address)


def test_damage_in_a_remote_store_is_noticed(tmp_path: Path) -> None:
    store = ArtifactStore(f"memory://{tmp_path.name}", tmp_path / "cache")
    address = store.put("adapters", folder(tmp_path))
    store.files.pipe_file(f"{store.root}/{address}/a.txt", b"changed")
    with pytest.raises(ArtifactError, match="damaged"):
        store.folder(address)
