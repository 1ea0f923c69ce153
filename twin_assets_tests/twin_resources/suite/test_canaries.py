"""Made-up sentences with a number that nobody could guess."""

from __future__ import annotations

import re

from twin_resources.suite.canaries import ALIKE, canaries, is_canary


def test_they_are_an_authors_own_and_always_the_same_and_those_alike_differ_in_the_number_alone() -> None:
    mine = canaries("Ada Berg", 4)
    assert mine == canaries("Ada Berg", 8)[:4] == canaries("Ada Berg")[:4]
    assert canaries("Ada Berg", 0) == []
    assert len({each.asked for each in canaries("Ada Berg")}) == 8
    for each in mine:
        texts = [each.text(place) for place in range(ALIKE + 1)]
        assert len(set(texts)) == ALIKE + 1
        assert {re.sub(r"\d{6}", "", text) for text in texts} == {each.sentence.format("")}
    assert not {each.text() for each in mine} & {each.text() for each in canaries("Bo", 4)}
    assert all(is_canary(each.id) for each in mine)
    assert not is_canary("ca9f")
