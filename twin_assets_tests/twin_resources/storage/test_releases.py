"""Who speaks for an author: only what passed the gate, and there is always a way back."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from twin_resources.config.settings import Settings
from twin_resources.storage import lineage
from twin_resources.storage.datasets import Datasets
from twin_resources.storage.inventory.paging import Paging, Place
from twin_resources.storage.releases import Adapter, Canary, ReleaseError, Releases, Standing
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


def on_canary(releases: Releases) -> tuple[str, float] | None:
    found = releases.canary("ada")
    return found and (found.version, found.share)


def test_a_canary_stands_beside_the_champion_and_ends_with_every_decision_on_it(releases: Releases) -> None:
    releases.approve("one", by="ada")
    started = releases.start_canary("two", 0.1, by="ada", comment="let us see")
    assert (started.aliases, started.share) == (("canary",), 0.1)
    assert (speaks(releases), on_canary(releases)) == (("one", None), ("two", 0.1))
    last = releases.history("ada")[0]
    assert (last.action, last.version, last.share, last.comment) == ("canary", "two", 0.1, "let us see")
    assert releases.approve("two", by="ada").aliases == ("champion",)
    assert (speaks(releases), on_canary(releases)) == (("two", "one"), None)
    releases.start_canary("one", 0.2, by="ada")
    assert releases.reject("one", by="ada", comment="shorter").aliases == ("previous",)
    assert on_canary(releases) is None
    releases.start_canary("one", 0.2, by="ada")
    assert releases.decisions(["one"])["one"].action == "canary", "a later decision overrides a rejection"
    releases.rollback("ada", by="ada")
    assert (speaks(releases), on_canary(releases)) == (("one", "two"), None)
    releases.start_canary("two", 0.2, by="ada")
    lineage.retire(releases.engine, "two", "trained on a forgotten document")
    assert on_canary(releases) is None


def test_what_may_not_serve_is_put_on_no_canary(releases: Releases) -> None:
    with pytest.raises(ReleaseError, match="no champion to stand beside; `twin approve two`"):
        releases.start_canary("two", 0.1, by="ada")
    releases.approve("one", by="ada")
    for version, share, why in (
        ("three", 0.1, "did not pass the gate"),
        ("four", 0.1, "no version 'four'"),
        ("one", 0.1, "one serves already"),
        ("two", 0.0, "a share between 0 and 1"),
        ("two", 1.0, "to serve all, `twin approve two`"),
        ("two", math.nan, "a share between 0 and 1"),
    ):
        with pytest.raises(ReleaseError, match=why):
            releases.start_canary(version, share, by="ada")
    releases.add_adapter(replace(adapter("other"), base="larger"))
    Reports(releases.engine).add("gate-other", "ada", "gate", "other", {"passed": True}, "")
    with pytest.raises(ReleaseError, match="trained over larger and one, which serves, over tiny"):
        releases.start_canary("other", 0.1, by="ada")
    assert on_canary(releases) is None
    assert [each.action for each in releases.history("ada")] == ["approve"]


def test_another_share_is_another_canary_and_the_same_changes_nothing(releases: Releases) -> None:
    releases.approve("one", by="ada")
    releases.start_canary("two", 0.1, by="ada")
    first = releases.canary("ada")
    releases.start_canary("two", 0.1, by="ada")
    assert releases.canary("ada") == first
    assert len(releases.history("ada")) == 2
    releases.start_canary("two", 0.3, by="ada")
    second = releases.canary("ada")
    assert first
    assert second
    assert second.since > first.since, "what was drawn by another share is counted apart"


def test_a_canary_is_no_decision_yet(releases: Releases) -> None:
    releases.approve("one", by="ada")
    releases.propose("ada", "two")
    releases.start_canary("two", 0.1, by="automatic")
    assert not releases.is_decided("ada")
    releases.reject("two", by="canary", comment="readers fared worse on it")
    assert releases.is_decided("ada")


def test_who_stands_where_is_said_of_every_author_in_one_query(releases: Releases) -> None:
    assert releases.standings() == []
    releases.propose("ada", "one")
    assert releases.standings() == [], "a candidate answers nobody"
    releases.approve("one", by="ada")
    releases.start_canary("two", 0.1, by="ada")
    asked: list[str] = []

    @sa.event.listens_for(releases.engine, "before_cursor_execute")
    def note(*given: Any) -> None:
        asked.append(given[2])

    found = releases.standings()
    sa.event.remove(releases.engine, "before_cursor_execute", note)
    assert found == [Standing("ada", "one", releases.canary("ada"))]
    assert len(asked) == 1


CANARY = Canary("ada-2", 0.1, datetime(2026, 11, 21, tzinfo=UTC))
CONVERSATIONS = [f"conversation {number}" for number in range(5_000)]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_a_canary_answers_its_share_of_conversations(share: float) -> None:
    canary = replace(CANARY, share=share)
    count = sum(canary.answers(canary.draw(each)) for each in CONVERSATIONS)
    expected, spread = len(CONVERSATIONS) * share, math.sqrt(len(CONVERSATIONS) * share * (1 - share))
    assert abs(count - expected) < 3 * spread


def test_a_larger_share_keeps_its_conversations_and_another_version_draws_anew() -> None:
    def on(canary: Canary) -> set[str]:
        return {each for each in CONVERSATIONS if canary.answers(canary.draw(each))}

    small = on(CANARY)
    assert small < on(replace(CANARY, share=0.3))
    both, expected = len(small & on(replace(CANARY, version="ada-3"))), len(CONVERSATIONS) * 0.01
    assert abs(both - expected) < 3 * math.sqrt(expected), "of two versions neither has the other's readers"


def test_a_conversation_stays_where_it_is_in_every_process() -> None:
    script = (
        "import json, sys; from datetime import datetime; from twin_resources.storage.releases import Canary; "
        "print(json.dumps([Canary('ada-2', 0.1, datetime.min).draw(each) for each in json.load(sys.stdin)]))"
    )
    some = CONVERSATIONS[:200]
    told = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(some), capture_output=True, text=True, check=True
    )
    assert json.loads(told.stdout) == [CANARY.draw(each) for each in some]
