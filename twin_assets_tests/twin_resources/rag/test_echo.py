"""A text that begins with what was asked for is told without that line, in whatever pieces it comes."""

from __future__ import annotations

import pytest

from twin_resources.rag.echo import EchoFilter, without_echo

ASKED = "Write a short post about flaky tests"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{ASKED}.\n\nI keep mine in a tin.", "I keep mine in a tin."),
        (f"## {ASKED}\nI keep mine in a tin.", "I keep mine in a tin."),
        ("Write a short\npost about FLAKY tests:\nIn a tin.", "In a tin."),
        ("I keep mine in a tin.", "I keep mine in a tin."),
        (f"{ASKED}, they said, and I did.", f"{ASKED}, they said, and I did."),
        (f"{ASKED} and other nuisances\nare cheap.", f"{ASKED} and other nuisances\nare cheap."),
        ("Write\nIt down.", "Write\nIt down."),
        (f"{ASKED}.", f"{ASKED}."),
        ("", ""),
    ],
)
def test_only_a_line_that_repeats_the_instruction_is_left_out(text: str, told: str) -> None:
    assert without_echo(ASKED, text) == told
    for size in (1, 3, 11):
        echo = EchoFilter(ASKED)
        pieces = [echo.feed(text[start : start + size]) for start in range(0, len(text), size)]
        assert "".join([*pieces, echo.rest()]) == told, size


def test_a_text_that_begins_otherwise_is_not_held_back_for_long() -> None:
    echo = EchoFilter(ASKED)
    assert [echo.feed(piece) for piece in ("W", "r", "ong", " ", "again")] == ["", "", "Wrong", " ", "again"]


def test_without_an_instruction_everything_is_told_at_once() -> None:
    assert EchoFilter(" ").feed("So it is.") == "So it is."
