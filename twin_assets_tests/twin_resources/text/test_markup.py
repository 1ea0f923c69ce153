import pytest

from twin_resources.text.markup import (
    first_heading,
    inner_html,
    parse_html,
    split_front_matter,
    text_of,
    visible_text,
)
from twin_resources.text.widgets import EMBEDDED_POSTS, IN_EXPORTS, ON_PAGES


def test_a_page_the_parser_would_cut_short_is_refused():
    with pytest.raises(ValueError, match="too deeply"):
        parse_html("<div>" * 5000 + "deep")
    assert len(text_of(parse_html("<p>" + "x" * 11_000_000))) == 11_000_000


def test_inner_html_keeps_text_and_markup():
    assert inner_html(parse_html("<body>a &lt; b <b>c</b> d</body>").find("body")) == "a &lt; b <b>c</b> d"


@pytest.mark.parametrize(
    ("markdown", "heading"),
    [
        ("text\n\n# One #\n", "One"), ("```\n# no\n```\n# Yes", "Yes"), ("~~~\n```\n# no\n~~~\n# Yes", "Yes"),
        ("## Two", None), ("#hashtag", None), ("", None),
    ],
)  # fmt: skip
def test_first_heading(markdown, heading):
    assert first_heading(markdown) == heading


@pytest.mark.parametrize(
    ("text", "fields", "body"),
    [
        ("---\ntitle: 1\n---\n\nx", {"title": "1"}, "\nx"),
        ("---\r\ntitle: a\r\n---\r\nx\r\n", {"title": "a"}, "x\r\n"),
        ("---\n---\nx", {}, "x"),
        ("---\njust text\n---\nx", {}, "---\njust text\n---\nx"),
        ("+++\ndraft = true\n+++\nx", {"draft": "true"}, "x"),
        ("x\n---\na: b\n---\n", {}, "x\n---\na: b\n---\n"),
    ],
)
def test_front_matter(text, fields, body):
    assert split_front_matter(text) == (fields, body)


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ("", []),
        ("plain words", ["plain", "words"]),
        ("<p>one<br>two</p>three", ["one", "two", "three"]),
        ("<!-- no --><script>no</script><style>no</style><noscript>no</noscript><p>yes", ["yes"]),
        ("<svg><text>no</text></svg><template>no</template>yes", ["yes"]),
        ("<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby> yes", ["漢", "yes"]),
        ("<p>half \ud800 a pair", ["half", "?", "a", "pair"]),
    ],
)
def test_visible_text_is_what_a_reader_sees(html: str, words: list[str]) -> None:
    assert visible_text(html).split() == words


def test_a_widget_is_known_by_how_its_class_begins_and_an_authors_class_is_none() -> None:
    assert IN_EXPORTS.search("subscription-widget-wrap")
    assert ON_PAGES.match("subscription-widget-wrap")
    assert ON_PAGES.match("twitter-tweet")
    assert EMBEDDED_POSTS.match("twitter-tweet")
    assert not any(pattern.search("my-published-notes") for pattern in (IN_EXPORTS, ON_PAGES, EMBEDDED_POSTS))
