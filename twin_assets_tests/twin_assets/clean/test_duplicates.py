"""The same text twice."""

from __future__ import annotations

from twin_assets.clean.duplicates import find_duplicates

HULL = (
    "The hull comes first and the paint comes last because nobody can sail a coat of paint however bright it is. " * 3
)
MAST = "A mast that has stood for sixty winters is worth more than a new one because the knots are already known. " * 3


def test_repeats_are_found_and_the_preferred_one_is_kept() -> None:
    texts = {
        "a": HULL + MAST,
        "b": MAST + "One sentence more at the end of it all.",
        "c": "Something else entirely." * 5,
    }
    (found,) = find_duplicates(texts, ["a", "b", "c"])
    assert (found.keep, found.drop) == ("a", "b")
    assert 0.5 < found.containment < 1
    (other,) = find_duplicates(texts, ["c", "b", "a"])
    assert (other.keep, other.drop) == ("b", "a")


def test_unrelated_and_empty_texts_are_left_alone() -> None:
    assert find_duplicates({"a": HULL, "b": MAST, "c": "", "d": ""}, ["a", "b", "c", "d"]) == []
