"""Which pair a reader is shown, and on which side the author's text stands."""

from __future__ import annotations

import random

import pytest
import sqlalchemy as sa

from twin_assets_tests.support.blind import OWN, add_pairs
from twin_assets_tests.support.site import add_adapter, store_documents
from twin_resources.config.settings import Settings
from twin_resources.storage.calls.blind_tests import Tally
from twin_resources.storage.warehouse import Warehouse
from twin_resources.style.blind.showings import ALL_SEEN, NO_PAIRS, BlindTestError, Showings, Shown


@pytest.fixture
def showings(engine: sa.Engine, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Showings:
    """Two versions with a pair of each of four documents, and one that was never evaluated."""
    warehouse = Warehouse(engine)
    for author in settings.authors:
        warehouse.record_author(author)
    store_documents(warehouse, settings)
    weights = tmp_path_factory.mktemp("weights")
    for version in ("ada-1", "ada-2", "ada-3"):
        (weights / "adapter.txt").write_text(version)
        add_adapter(settings, engine, version, weights)
    for version in ("ada-1", "ada-2"):
        add_pairs(engine, version)
    return Showings(engine, random.Random(5))


def shown(showings: Showings, reader: str, version: str = "ada-1") -> Shown:
    found = showings.turn("ada", version, reader).shown
    assert found
    return found


def test_a_pair_stays_until_it_is_answered_and_then_another_comes(showings: Showings) -> None:
    seen: list[str] = []
    for answered in range(4):
        found = shown(showings, "reader")
        assert shown(showings, "reader") == found, "looking again draws no other side"
        turn = showings.turn("ada", "ada-1", "reader")
        assert (turn.answered, turn.total) == (answered, 4)
        assert (OWN in found.a) != (OWN in found.b)
        right = showings.answer("ada", found.id, "reader", "a" if OWN in found.a else "b")
        assert right.right
        seen.append(found.instruction)
    assert len(set(seen)) == 4
    last = showings.turn("ada", "ada-1", "reader")
    assert (last.shown, last.because, last.answered, last.total) == (None, ALL_SEEN, 4, 4)
    assert showings.tests.tallies("ada") == {"ada-1": Tally(4, 4)}


def test_a_text_that_a_reader_knows_as_the_authors_is_not_shown_beside_another_version(showings: Showings) -> None:
    first = shown(showings, "reader")
    left = set()
    while (found := showings.turn("ada", "ada-2", "reader").shown) is not None:
        left.add(found.instruction)
        showings.answer("ada", found.id, "reader", "a")
    assert len(left) == 3
    assert first.instruction not in left
    assert shown(showings, "reader") == first, "what is not answered yet still waits"
    assert showings.turn("ada", "ada-2", "somebody else").total == 4


def test_the_author_stands_on_either_side_as_often_whichever_pair_it_is(showings: Showings) -> None:
    found = [shown(showings, f"reader {number}") for number in range(100)]
    assert 35 < sum(OWN in each.a for each in found) < 65
    assert len({each.instruction for each in found}) == 4


def test_a_version_without_pairs_says_so(showings: Showings) -> None:
    turn = showings.turn("ada", "ada-3", "reader")
    assert (turn.shown, turn.because, turn.total) == (None, NO_PAIRS, 0)


def test_what_a_version_wrote_anew_is_shown_in_place_of_what_it_wrote_before(
    showings: Showings, engine: sa.Engine
) -> None:
    before = shown(showings, "reader")
    add_pairs(engine, "ada-1")
    assert shown(showings, "reader") == before, "the same pairs"
    with engine.begin() as session:
        session.execute(sa.text("UPDATE blind_test SET pair_id = 'of other texts'"))
    after = shown(showings, "reader")
    assert after.instruction != before.instruction


def test_nobody_answers_what_somebody_else_was_shown(showings: Showings) -> None:
    found = shown(showings, "reader")
    for author, reader in (("ada", "somebody else"), ("bo", "reader")):
        with pytest.raises(BlindTestError, match="has no showing"):
            showings.answer(author, found.id, reader, "a")
