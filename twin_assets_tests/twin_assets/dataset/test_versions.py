"""When a version is made, and what is in it: with real documents, through the assets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from twin_assets.dataset import files, instruct
from twin_assets_tests.support import essays
from twin_assets_tests.support.world import World
from twin_resources.exporting.comparison import compare
from twin_resources.exporting.rows import samples
from twin_resources.runtime.resources import ASKED


def test_versions_are_made_when_enough_changed_when_a_document_goes_and_when_somebody_asks(world: World) -> None:
    first = world.make()
    assert world.twin.datasets.changed_sides(first.id) == []
    folder = world.twin.artifacts.folder(first.artifact)
    manifest = json.loads((folder / files.MANIFEST).read_text())
    assert {each["url"] for each in manifest["documents"]} == world.documents(first)
    assert all(each["version_id"] and each["split"] for each in manifest["documents"])
    assert manifest["made_by"]["generator"] == "instruct"
    assert {"grounded", "no_leak", "splits_stay"} <= {
        name for name, passed in first.manifest["checks"].items() if passed
    }
    assert sorted(path.name for path in (folder / "plots").iterdir()) == ["kinds.png", "lengths.png", "years.png"]

    world.texts[7] = world.texts[7].replace("the", "the,", 1)
    assert world.make().id == first.id, "a comma makes no version"
    assert world.make("twin run").id == first.id, "nor does it when the whole graph is run"
    asked = world.make("twin run", **{ASKED: "true"})
    assert asked.id != first.id, "but a person can ask for one"
    catalogue = world.twin.datasets
    changed = compare(*(samples(catalogue, world.twin.artifacts, version) for version in (first, asked)))
    assert {each.url for each in changed if each.change != "same"} >= {"https://ada.example/7"}
    assert any(each.change == "changed" for found in changed for each in found.samples)

    train = next(member for member in catalogue.members(asked.id) if member.split == "train")
    world.texts.pop(int(train.url.rsplit("/", 1)[1]))
    without = world.make()
    assert train.url not in world.documents(without), "a document that is gone leaves at once"
    for number in (100, 101, 102, 103, 104):
        assert world.twin.datasets.newest("ada", "instruct") == without or number == 104
        world.texts[number] = essays.essay(number)
    grown = world.make()
    assert len(world.documents(grown)) == len(world.documents(without)) + 5
    for version in (asked, without, grown):
        assert catalogue.changed_sides(version.id) == [], "and nobody changed sides"
    assert world.twin.training_dataset("ada") == grown


def test_nothing_is_made_to_see_that_nothing_changed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first = world.make()
    with monkeypatch.context() as patch:
        patch.setattr(instruct, "build", lambda *_, **__: pytest.fail("samples were made"))
        assert world.make().id == first.id
    world.texts[7] = world.texts[7].replace("the", "the,", 1)
    world.collect()
    with monkeypatch.context() as patch:
        patch.setattr(instruct, "build", lambda *_, **__: pytest.fail("samples were made"))
        assert world.fails(), "of other text they are"


def test_the_same_documents_give_the_same_hash_anywhere(world: World, tmp_path: Path) -> None:
    first = world.make()
    stored = world.twin.artifacts.folder(first.artifact)
    address = world.twin.artifacts.put("again", stored)
    assert address.rsplit("/", 1)[1] == first.artifact.rsplit("/", 1)[1]
    world.twin.artifacts.delete(first.artifact)
    again = world.make()
    assert (again.id, again.artifact) == (first.id, first.artifact), "written anew, to the byte"
