"""Artifacts are immutable and found by their content."""

from __future__ import annotations

from pathlib import Path

import pytest

from twin_resources.config.settings import Settings
from twin_resources.storage.artifacts import ArtifactError, ArtifactStore


def folder(tmp_path: Path, text: str = "weights") -> Path:
    made = tmp_path / f"made-{text}"
    (made / "deep").mkdir(parents=True)
    (made / "a.txt").write_text(text)
    (made / "deep" / "b.txt").write_text("more")
    return made


@pytest.fixture(params=["file", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    """A store in a folder, in memory, and on a server that speaks S3 over HTTP, each from the settings of a person."""
    if request.param == "s3":
        return ArtifactStore.of(request.getfixturevalue("s3_settings"))
    url = (tmp_path / "store").as_uri() if request.param == "file" else f"memory://{tmp_path.name}"
    return ArtifactStore(url, tmp_path / "cache")


def test_the_same_content_has_one_address(store: ArtifactStore, tmp_path: Path) -> None:
    address = store.put("adapters", folder(tmp_path))
    assert store.put("adapters", folder(tmp_path / "again")) == address
    assert store.put("adapters", folder(tmp_path, "other")) != address
    found = store.folder(address)
    assert (found / "a.txt").read_text() == "weights"
    assert (found / "deep" / "b.txt").read_text() == "more"


def test_a_store_lists_and_deletes_what_it_holds(store: ArtifactStore, tmp_path: Path) -> None:
    address = store.put("datasets/instruct", folder(tmp_path))
    other = store.put("adapters", folder(tmp_path, "other"))
    assert store.addresses().keys() == {address, other}
    store.delete(address)
    assert not store.exists(address)
    assert store.addresses().keys() == {other}
    assert (store.folder(other) / "a.txt").read_text() == "other"


def test_half_an_artifact_is_not_there(store: ArtifactStore, tmp_path: Path) -> None:
    address = store.put("adapters", folder(tmp_path))
    store.files.rm(f"{store.root}/{address}/.sealed")
    assert not store.exists(address)
    with pytest.raises(ArtifactError, match=address):
        store.folder(address)
    assert store.put("adapters", folder(tmp_path / "again")) == address, "and writing it again completes it"
    assert store.exists(address)


def test_what_another_machine_deleted_is_gone_and_can_be_put_again(s3_settings: Settings, tmp_path: Path) -> None:
    mine, theirs = (ArtifactStore.of(s3_settings) for _ in range(2))
    theirs.files = type(mine.files)(skip_instance_cache=True, endpoint_url=s3_settings.s3_endpoint_url)
    address = mine.put("adapters", folder(tmp_path))
    assert mine.addresses().keys() == {address}
    theirs.delete(address)
    assert not mine.exists(address)
    assert mine.put("adapters", folder(tmp_path / "again")) == address
    assert theirs.exists(address)


def test_damage_in_a_remote_store_is_noticed(tmp_path: Path) -> None:
    store = ArtifactStore(f"memory://{tmp_path.name}", tmp_path / "cache")
    address = store.put("adapters", folder(tmp_path))
    store.files.pipe_file(f"{store.root}/{address}/a.txt", b"changed")
    with pytest.raises(ArtifactError, match="damaged"):
        store.folder(address)
