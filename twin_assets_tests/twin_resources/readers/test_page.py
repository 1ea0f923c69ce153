"""An article read from a web page: all of the author's words, and nothing of the page around them."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import lxml.html
import pytest

from twin_resources.readers.page import Page, PageError, read_page

FIXTURES = Path(__file__).parents[2] / "data" / "pages"


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())


def shown(html: str) -> str:
    tree = lxml.html.document_fromstring(f"<div>{html}</div>")
    for hidden in tree.xpath("//script | //style | //noscript | //svg"):
        hidden.drop_tree()
    return " ".join(tree.itertext())


def f1(found: str, expected: str) -> float:
    ours, gold = Counter(words(found)), Counter(words(expected))
    return 2 * (ours & gold).total() / max(1, ours.total() + gold.total())


def fixture(name: str) -> Page:
    folder = FIXTURES / name
    facts = json.loads((folder / "facts.json").read_text())
    return read_page((folder / "page.html").read_text(), facts["given"])


@pytest.mark.parametrize("name", sorted(path.name for path in FIXTURES.iterdir()))
def test_a_page_gives_its_article_word_for_word(name: str) -> None:
    folder = FIXTURES / name
    page, facts = fixture(name), json.loads((folder / "facts.json").read_text())
    assert words(shown(page.body)) == words((folder / "expected.txt").read_text())
    assert page.url == facts["url"]
    assert page.title == facts["title"]
    assert page.byline == facts["byline"]
    assert (page.published_at.date().isoformat() if page.published_at else None) == facts["published"]
    assert page.language == facts["language"]
    assert page.gated is facts["gated"]
    assert list(page.also) == facts["also"]
    json.dumps(dict(page.extra))


def test_a_story_keeps_its_markup() -> None:
    body = fixture("medium-apollo").body
    for expected in (
        '<a href="https://boats.example/hulls"><strong>hull</strong> leaks</a>',
        "<em>only</em>",
        "<ul><li>cotton</li><li>oakum, for wide seams</li></ul><ol>",
        '<code class="language-python">def seam(width):\n    return',
        "<blockquote>A dry seam",
        "<figcaption>The hull in March",
        "<hr>",
    ):
        assert expected in body


def test_an_embedded_post_of_someone_else_is_left_out_and_its_address_kept() -> None:
    html = '<article><p>I saw this today, and it made me think of the harbour.</p><blockquote class="twitter-tweet"><p>Boats are over.</p><a href="https://twitter.com/a/status/1">May 1</a></blockquote></article>'  # noqa: E501
    page = read_page(html, "https://me.example/a")
    assert "over" not in page.body
    assert page.extra["embedded"] == ["https://twitter.com/a/status/1"]


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        ("", "no HTML"),
        ("<div>" * 5000 + "deep", "too deeply"),
        ("<html><body><nav><a href='/'>Home</a></nav><script>x()</script></body></html>", "no text"),
        ("<html><title>Just a moment...</title><body>Checking your browser before you go on.</body></html>", "robots"),
        ("<html><body><h1>Sign in</h1><form><input type='password'></form></body></html>", "login wall"),
    ],
)
def test_a_page_without_an_article_says_why(html: str, reason: str) -> None:
    with pytest.raises(PageError, match=reason) as problem:
        read_page(html, "https://me.example/a")
    assert problem.value.remedy


def test_saved_pages_match_their_gold_answers(real_data: Path) -> None:
    found = {}
    for source in sorted(real_data.glob("*/pages/*/source.html")):
        page = read_page(source.read_text(), "https://medium.com/")
        found[source.parent.name] = f1(shown(page.body), shown((source.parent / "expected.html").read_text()))
        about = json.loads((source.parent / "expected-metadata.json").read_text())
        assert page.byline == about["byline"]
        assert page.published_at
        assert page.published_at.isoformat()[:10] == (about.get("publishedTime") or about["publishedDate"])[:10]
    assert len(found) == 10
    assert sum(found.values()) / len(found) >= 0.99, found
    assert min(found.values()) >= 0.97, found


def test_the_embedded_data_and_the_markup_tell_the_same(real_data: Path) -> None:
    for source in sorted(real_data.glob("*/pages/*/source.html")):
        html = source.read_text()
        bare = re.sub(r"__APOLLO_STATE__|_preloads", "nothing", html)
        if bare != html:
            given, drawn = (read_page(version, "https://medium.com/").body for version in (html, bare))
            assert f1(shown(given), shown(drawn)) >= 0.97, source


def test_linkedin_pages_give_the_members_words_alone(real_data: Path) -> None:
    update = read_page((real_data / "linkedin/feed-update-excerpt.html").read_text(), "https://www.linkedin.com/")
    assert shown(update.body).split("🤦")[0].strip() == "I got schooled again by our CTO during our 'quick sync'"
    assert update.body.count("<p>") == 7
    assert "Feed post" not in update.body
    pulse = read_page((real_data / "linkedin/pulse-article.html").read_text(), "https://www.linkedin.com/")
    assert words(shown(pulse.body))[:4] == ["this", "article", "was", "originally"]
    assert words(shown(pulse.body))[-3:] == ["me", "at", "ellynjshook1"] or "EllynJShook1" in pulse.body
    assert "Zoe Kibbey" not in pulse.body
