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


def test_an_abbreviation_ends_a_sentence_only_where_a_new_one_begins() -> None:
    text = (
        "Lewis et al. (2020) retrieve, as Hu et al. show. So do Ma et al. The rest is in Fig. 3, Sec. 2 and No. 4. "
        "Is it? No. Boats, nets, etc. Das ist z. B. ein Boot, bzw. ein Netz."
    )
    assert [text[start:end] for start, end in sentences(text)] == [
        "Lewis et al. (2020) retrieve, as Hu et al. show.",
        "So do Ma et al.",
        "The rest is in Fig. 3, Sec. 2 and No. 4.",
        "Is it?",
        "No.",
        "Boats, nets, etc.",
        "Das ist z. B. ein Boot, bzw. ein Netz.",
    ]
