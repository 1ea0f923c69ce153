"""Where sentences begin and end."""

from __future__ import annotations

from twin_resources.text.sentences import sentences


def test_sentences_join_to_the_text() -> None:
    text = "One. Two, e.g. this?\n\n- three\n- four 3.5 m\n```\na. b.\n```\nFive"
    assert [text[start:end] for start, end in sentences(text)] == [
        "One.",
        "Two, e.g. this?",
        "- three",
        "- four 3.5 m",
        "Five",
    ]
