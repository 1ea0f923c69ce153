"""What can be quoted of a text: whole sentences, whole items, whole blocks of code."""

from __future__ import annotations

import pytest

from twin_resources.text.units import is_source_code, units


def cut(text: str) -> list[tuple[str, str]]:
    return [(unit.kind, text[unit.start : unit.end]) for unit in units(text)]


def test_a_sentence_of_text_that_was_wrapped_at_a_width_is_one() -> None:
    text = (
        "The gauge on the pier was built by a man who could neither read nor\n"
        "Swim. He counted the steps that were dry, and he called the number up to\n"
        "the keeper."
    )
    assert cut(text) == [
        ("sentence", "The gauge on the pier was built by a man who could neither read nor\nSwim."),
        ("sentence", "He counted the steps that were dry, and he called the number up to\nthe keeper."),
    ]


def test_a_line_that_its_author_broke_ends_a_sentence() -> None:
    text = "Three tiny steps: 18 seconds\nThe same in one process: 0.3 seconds\nand\nnobody noticed"
    assert [piece for _, piece in cut(text)] == [
        "Three tiny steps: 18 seconds",
        "The same in one process: 0.3 seconds\nand\nnobody noticed",
    ]


def test_indented_code_is_one_block() -> None:
    code = "    def read(path):\n        with open(path) as file:\n\n            return file.read()"
    assert cut(f"Read it so:\n\n{code}\n\nThat is all.") == [
        ("sentence", "Read it so:"),
        ("code", code),
        ("sentence", "That is all."),
    ]


def test_what_stands_indented_below_an_item_is_no_code() -> None:
    text = "1. Sand the hull.\n\n    Do it along the grain.\n\n    * or not at all"
    assert [kind for kind, _ in cut(text)] == ["item", "sentence", "sentence"]


@pytest.mark.parametrize(
    ("category", "url", "program"),
    [
        ("code", "https://git.example/ada/river/blob/HEAD/river/levels.py", True),
        ("code", "repository:river/Makefile", True),
        ("code", "https://git.example/ada/river/blob/HEAD/README.md", False),
        ("code", "https://git.example/ada/river/blob/HEAD/README", False),
        ("code", "https://git.example/ada/river/blob/HEAD/notes.ipynb", False),
        ("articles", "https://ada.example/levels.py", False),
    ],
)
def test_documents_beside_a_program_are_prose(category: str, url: str, program: bool) -> None:
    assert is_source_code(category, url) is program
    text = "It rises. It falls."
    assert len(units(text, source_code=program)) == (1 if program else 2)
