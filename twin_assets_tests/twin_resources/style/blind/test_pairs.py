"""Nothing but who wrote them tells the two texts of a pair apart."""

from __future__ import annotations

from itertools import pairwise

import pytest

from twin_resources.style.blind.pairs import FEWEST_WORDS, Pair, pairs_in
from twin_resources.style.prose import readable, word_count

OWN = tuple(f"The gauge on the north pier wrote line number {number} before the ferry had left." for number in range(9))
WRITTEN = "A gauge is a thing that measures water. It measures it every day, and people read what it wrote down. "


def pair(own: tuple[str, ...] = OWN, written: str = WRITTEN * 7) -> Pair:
    found = Pair.of("d", "Write about the gauge.", own, written)
    assert found
    return found


def test_both_texts_end_with_a_sentence_at_nearly_the_same_length() -> None:
    found = pair()
    lengths = word_count(found.own), word_count(found.written)
    assert min(lengths) >= FEWEST_WORDS
    assert max(lengths) <= 1.1 * min(lengths)
    assert found.own.endswith("left.")
    assert found.written.endswith((".", "down."))
    assert " ".join(OWN).startswith(found.own)


def test_the_longest_beginnings_that_are_of_like_length_are_taken() -> None:
    sizes = [word_count(pair(own=OWN[:count]).own) for count in range(4, 10)]
    assert all(one <= other for one, other in pairwise(sizes))
    assert sizes[-1] > sizes[0]


def test_what_a_model_broke_off_is_left_out() -> None:
    assert pair(written=f"{WRITTEN * 7}And then the ferry came out of the").written == pair().written


@pytest.mark.parametrize(
    ("own", "written"),
    [
        (OWN[:2], WRITTEN * 7),  # too short to tell whose it is
        (OWN, "No idea."),
        (OWN, ""),
        (OWN, " ".join(["word"] * 200) + "."),  # no length that both have
    ],
)
def test_texts_that_cannot_be_made_alike_are_no_pair(own: tuple[str, ...], written: str) -> None:
    assert Pair.of("d", "Write.", own, written) is None


def test_markup_and_typography_do_not_tell() -> None:
    marked = "## A heading\n\n" + WRITTEN.replace("water", "**water** in “metres”, as `gauge.read()` says") * 5
    found = pair(written=f"{marked}\n\n```\ncode = 1\n```\n")
    assert '"metres", as gauge.read() says.' in found.written
    assert not set("*`#“") & set(found.written)
    assert readable("- It’s [a link](https://ada.example) to `x`…") == "It's a link to x..."


def test_pairs_are_read_as_the_report_holds_them() -> None:
    row = {"document_id": "d", "instruction": "Write.", "own": "One.", "written": "Two."}
    (found,) = pairs_in({"pairs": [row]})
    assert found == Pair(**row)
    assert found.id != Pair(**{**row, "written": "Three."}).id
    assert pairs_in({"measured": False}) == []
