"""Who speaks for an author: only what passed the gate, and there is always a way back."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from twin_resources.config.settings import Settings
from twin_resources.storage import lineage
from twin_resources.storage.datasets import Datasets
from twin_resources.storage.inventory.paging import Paging, Place
from twin_resources.storage.releases import Adapter, ReleaseError, Releases
from twin_resources.storage.reports import Reports
from twin_resources.storage.sources import Authors


def adapter(version: str) -> Adapter:
    return Adapter(
        id=f"id-{version}",
        author="ada",
        version=version,
        kind="sft",
        base="tiny",
        artifact=f"adapters/{version}",
        dataset_id="data",
        parameters={"rank": 8},
        metrics={"validation_loss": 2.0},
        tracking_run=None,
    )


@pytest.fixture
def releases(engine: sa.Engine, settings: Settings) -> Releases:
    """Adapters one, two and three of Ada; the gate let one and two through, and three not."""
    for author in settings.authors:
        Authors(engine).record(author)
    Datasets(engine).add("data", "ada", "instruct", "datasets/data", {}, ())
    releases = Releases(engine)
    for version in ("one", "two", "three"):
        releases.add_adapter(adapter(version))
        gate = {"passed": version != "three", "failed": ["better_than_base"] if version == "three" else []}
        Reports(engine).add(f"gate-{version}", "ada", "gate", version, gate, "")
    return releases


def speaks(releases: Releases) -> tuple[str | None, str | None]:
    champion, previous = (releases.alias("ada", name) for name in ("champion", "previous"))
    return champion and champion.version, previous and previous.version


def test_an_approved_version_speaks_and_the_one_before_it_is_kept(releases: Releases) -> None:
    assert speaks(releases) == (None, None)
    assert releases.approve("one", by="ada").aliases == ("champion",)
    releases.approve("two", by="ada", comment="better")
    assert speaks(releases) == ("two", "one")
    assert [(each.action, each.version, each.comment) for each in releases.history("ada")] == [
        ("approve", "two", "better"),
        ("approve", "one", ""),
    ]


def test_approving_twice_changes_nothing(releases: Releases) -> None:
    releases.approve("one", by="ada")
    releases.approve("two", by="ada")
    releases.approve("two", by="ada")
    assert speaks(releases) == ("two", "one")
    assert len(releases.history("ada")) == 2


def test_what_the_gate_refused_cannot_be_approved(releases: Releases) -> None:
    with pytest.raises(ReleaseError, match=r"did not pass the gate \(better_than_base\); see `twin candidates`"):
        releases.approve("three", by="ada")
    with pytest.raises(ReleaseError, match="no version 'four'"):
        releases.approve("four", by="ada")
    assert speaks(releases) == (None, None)


def test_a_rollback_swaps_and_can_be_taken_back(releases: Releases) -> None:
    with pytest.raises(ReleaseError, match="no previous champion"):
        releases.rollback("ada", by="ada")
    releases.approve("one", by="ada")
    releases.approve("two", by="ada")
    assert releases.rollback("ada", by="ada").version == "one"
    assert speaks(releases) == ("one", "two")
    assert releases.rollback("ada", by="ada").version == "two"
    assert [each.action for each in releases.history("ada")] == ["rollback", "rollback", "approve", "approve"]


def test_a_retired_version_speaks_no_more_and_never_again(releases: Releases) -> None:
    releases.approve("one", by="ada")
    lineage.retire(releases.engine, "one", "trained on a forgotten document")
    assert speaks(releases) == (None, None)
    with pytest.raises(ReleaseError, match="one is retired: trained on a forgotten document"):
        releases.approve("one", by="ada")


def test_the_candidate_is_the_one_proposed_last(releases: Releases) -> None:
    releases.propose("ada", "one")
    releases.propose("ada", "three")
    candidate = releases.alias("ada", "candidate")
    assert candidate
    assert (candidate.version, candidate.passed) == ("three", False)
    assert releases.alias("bo", "candidate") is None


def test_a_trained_adapter_is_found_again_so_that_nothing_is_trained_twice(releases: Releases) -> None:
    assert releases.adapter("id-two") == adapter("two")
    assert releases.adapter("unknown") is None
    newest = releases.newest_adapter("ada")
    assert newest
    assert newest.version == "three"
    assert releases.newest_adapter("bo") is None


def test_a_rejected_version_does_not_take_over_until_somebody_approves_it(releases: Releases) -> None:
    releases.propose("ada", "one")
    assert not releases.is_decided("ada")
    releases.reject("one", by="ada", comment="answers in lists")
    assert releases.is_decided("ada"), "an automatic approval leaves it alone"
    releases.propose("ada", "one")
    assert releases.is_decided("ada"), "also when the graph runs again"
    decided = releases.decisions(["one", "two"])
    assert {each: (found.action, found.comment) for each, found in decided.items()} == {
        "one": ("reject", "answers in lists")
    }
    assert releases.approve("one", by="ada").aliases == ("candidate", "champion")
    assert releases.decisions(["one"])["one"].action == "approve"
    with pytest.raises(ReleaseError, match="twin rollback"):
        releases.reject("one", by="ada", comment="too late")
    with pytest.raises(ReleaseError, match="no version"):
        releases.reject("four", by="ada", comment="x")


def test_pages_of_versions_follow_one_another(releases: Releases) -> None:
    first = releases.part("ada", Paging(2))
    assert first.next
    second = releases.part("ada", Paging(2, Place.of(first.next)))
    assert [each.version for each in (*first.items, *second.items)] == ["three", "two", "one"]
    assert second.next is None
