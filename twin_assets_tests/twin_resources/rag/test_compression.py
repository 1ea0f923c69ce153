from __future__ import annotations

from twin_resources.rag.compression import ELLIPSIS, compress

PASSAGE = (
    "I bought the boat in spring. The neighbours came by. They brought cake. We talked until dark. "
    "The varnish needs seven coats. Sand between them. Then it rained for a week. Nobody minded at all. "
    "The cat slept. The kettle sang."
)


def test_sentences_that_do_not_help_go() -> None:
    short = compress(PASSAGE, "How many coats of varnish?")
    assert "The varnish needs seven coats. Sand between them." in short
    assert short.startswith("I bought the boat in spring.")
    assert "cake" not in short
    assert ELLIPSIS.strip() in short
    assert len(short) < len(PASSAGE) / 1.5


def test_what_may_not_be_cut_stays_whole() -> None:
    assert compress(PASSAGE, "quantum gravity") == PASSAGE, "nothing helps, so nothing is known to be useless"
    assert compress("One. Two varnish.", "varnish") == "One. Two varnish."
    code = PASSAGE + "\n```py\nvarnish()\n```"
    assert compress(code, "varnish") == code
