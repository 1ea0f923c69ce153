"""Who answers, and what a model is given for it."""

from __future__ import annotations

import pytest

from twin_resources.rag.policy import Choice, choose

WRITE = "Write a post about the tide gauge"
ASK = "Where does the tide gauge stand?"


@pytest.mark.parametrize(
    ("asked", "text", "adapter", "licence", "mode", "reads"),
    [
        ("auto", ASK, None, None, "quote", True),
        ("auto", ASK, "ada-1", None, "quote", True),
        ("auto", ASK, "ada-1", False, "quote", True),
        ("auto", ASK, "ada-1", True, "generate", True),
        ("auto", WRITE, None, None, "quote", True),
        ("auto", WRITE, "ada-1", True, "write", True),
        ("auto", WRITE, "ada-1", False, "write", False),
        ("auto", WRITE, "ada-1", None, "write", False),
        ("write", ASK, "ada-1", False, "write", False),
        ("write", ASK, None, None, "write", True),
        ("generate", ASK, "ada-1", False, "generate", True),
    ],
)
def test_a_licence_decides_who_answers_and_whether_a_writer_reads_the_passages(
    asked: str, text: str, adapter: str | None, licence: bool | None, mode: str, reads: bool
) -> None:
    found = choose(asked, text, use_rag=True, adapter=adapter, licensed=lambda _: licence)  # pyright: ignore
    assert (found.mode, found.reads) == (mode, reads)
    assert found.because


def test_without_passages_the_twin_writes() -> None:
    found = choose("auto", ASK, use_rag=False, adapter="ada-1", licensed=lambda _: True)
    assert found == Choice("write", "asked without passages")
