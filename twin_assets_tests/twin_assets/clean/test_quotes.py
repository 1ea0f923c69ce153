"""Other people's words are kept, marked, and never learned."""

from __future__ import annotations

from dataclasses import replace

from twin_assets.clean.clean import clean
from twin_assets.clean.quotes import own_part, quoted, quoted_words
from twin_assets.dataset import instruct
from twin_assets_tests.support.rows import chunk

OWN = "I have thought about this for many a winter, and I still say that a rope should be older than the sailor. "


def test_quotes_are_found_wherever_they_stand() -> None:
    text = "One.\n\n> Two\nlazy\n>\n> > Three\n\nFour > five.\n\n```\n> not a quote\n```\n\n- item\n  > Six\n"
    assert [text[start:end].split()[1] for start, end in quoted(text)] == ["Two", "Six"]
    assert quoted_words("> Two\n> three\n\nfour") == 2
    assert quoted("no such mark") == []


def test_what_is_left_is_everything_else() -> None:
    assert own_part(0, 100, [(10, 20), (90, 120)]) == [(0, 10), (20, 90)]
    assert own_part(12, 18, [(10, 20)]) == []
    assert own_part(0, 5, [(10, 20)]) == [(0, 5)]


def test_an_embedded_post_becomes_a_quote() -> None:
    html = (
        '<p>Look:</p><div class="tweet"><p>Boats are over.</p><div class="tweet-footer">12 Likes</div></div><p>No.</p>'
    )
    made = clean(html, "text/html", title="t")
    assert made.text == "Look:\n\n> Boats are over.\n\nNo."
    assert made.kept_share == 1


def test_a_twin_never_learns_what_somebody_else_said() -> None:
    quote = "> Ropes are over, said the man from the city, at great length, with slides and a smile.\n"
    texts = [
        OWN * 2 + "\n\n" + quote + ">\n> And again, more of it, and more.",
        " Still his words here.\n\n",
        "Nobody who slept on a pier in March believes the brochures: the water decides, the timber keeps the score, "
        "and the rest of us are there to write down what the two of them agreed on during the night.",
    ]
    rows = [chunk(id=f"c{position}", title="Rope", text=text, position=position) for position, text in enumerate(texts)]
    made = instruct.build("ada", rows)
    answers = " ".join(sample.answer + sample.instruction for sample in made.samples)
    assert len(made.samples) == 2
    assert "city" not in answers
    assert "his words" not in answers
    assert instruct.build("ada", [replace(rows[0], text=quote * 4)]).dropped == {"quoted": 1}
