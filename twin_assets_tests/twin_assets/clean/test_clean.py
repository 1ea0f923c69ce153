"""What a writer would look for in their cleaned text."""

from __future__ import annotations

import json

import pytest

from twin_assets.clean.clean import clean
from twin_resources.sources.base import Author, RawDocument
from twin_resources.sources.handbook import Handbook

PAGE = """
<article><h1>Splicing rope</h1><p>It’s <em>not</em> hard &mdash; “really”, it isn't.</p>
<h2>What you need</h2><ul><li>a fid</li><li>patience</li></ul><ol><li>first</li><li>second</li></ol>
<blockquote>Measure twice.</blockquote>
<pre><code class="language-python">def splice(rope):<br>    return rope &amp; rope</code></pre>
<p>See <a href="https://example.com/knots">knots</a>.</p>
<table><tr><th>Rope</th><th>mm</th></tr><tr><td>Hemp</td><td>12</td></tr></table>
<div class="subscription-widget-wrap"><p>Subscribe to get more</p><button>Subscribe</button></div>
<script>track()</script></article>
"""


def test_structure_and_style_survive() -> None:
    made = clean(PAGE, "text/html", title="Splicing rope")
    for expected in (
        "It’s *not* hard — “really”, it isn't.",
        "## What you need",
        "- a fid\n- patience",
        "1. first\n2. second",
        "> Measure twice.",
        "```python\ndef splice(rope):\n    return rope & rope\n```",
        "[knots](https://example.com/knots)",
        "| Hemp | 12 |",
    ):
        assert expected in made.text
    assert made.title == "Splicing rope"
    assert not made.text.startswith("# Splicing"), "the title is kept apart"
    assert made.kept_share == 1.0


def test_a_platforms_own_class_is_no_language() -> None:
    body = '<pre class="graf graf--pre"><code class="markup--code markup--pre-code">x = 1</code></pre>'
    assert clean(body, "text/html", title="t").text == "```\nx = 1\n```"


def test_furniture_goes_and_is_accounted_for() -> None:
    made = clean(PAGE, "text/html", title="Splicing rope")
    assert "Subscribe" not in made.text
    assert "track()" not in made.text
    assert made.removed["page_furniture"]["count"] >= 1


def test_a_page_dump_loses_its_share_boxes_and_comments_but_not_its_text() -> None:
    box = "Share this post\n\n#### On oars\n\noars.substack.com\n\nCopy link\n\nFacebook\n\nEmail\n\nNote\n\nOther"
    body = (
        f"# Oars\n\nSubscribeSign in\n\n{box}\n\n# On oars\n\n### A subtitle\n\nJonas Ek\n\nJan 02, 2025\n\n{box}\n\n"
        "Share\n\n"
        "An oar is a lever, and I share this post with nobody.\n\nEmail me, if you must.\n\n"
        f"{box}\n\n#### Discussion about this post\n\nComments\n\nReady for more?\n\nSubscribe"
    )
    made = clean(body, "text/markdown", title="On oars")
    assert made.text == "An oar is a lever, and I share this post with nobody.\n\nEmail me, if you must."
    assert made.byline == "Jonas Ek"


def test_wrapped_lines_are_joined_and_unwrapped_ones_are_not() -> None:
    wrapped = "\n\n".join(["These lines were broken by a converter at a width of some seventy\n" * 3 + "letters."] * 4)
    assert "seventy These lines" in clean(wrapped, "text/markdown", title="t").text
    heading = "### #2. What do you need to build an inference pipeline for a financial\nassistant powered by LLMs?"
    bold = "## **Seven ways to splice a rope that is too short for the two of them at\nonce, and one more\n**"
    short = "## Short\nThe text of it."
    made = clean(f"{wrapped}\n\n{heading}\n\n{bold}\n\n{short}", "text/markdown", title="t").text
    assert f"\n\n{heading.replace(chr(10), ' ')}\n\n" in made
    assert "for the two of them at once, and one more" in made
    assert short in made
    assert heading in clean(f"Not wrapped.\n\n{heading}", "text/markdown", title="t").text
    poem = "Short lines,\nset so\nby hand."
    assert poem in clean(poem, "text/markdown", title="t").text


def test_posts_keep_their_line_breaks() -> None:
    post = "One.\n\n\nTwo,\nthree.\r\nFour."
    assert clean(post, "text/plain", category="posts").text == "One.\n\nTwo,\nthree.\nFour."


def test_code_is_left_alone() -> None:
    code = "def f():\n    x = '<b>'\n\n\n    return x\n"
    assert clean(code, "text/x-code", title="f.py", category="code").text == "def f():\n    x = '<b>'\n\n    return x"


def test_secrets_and_addresses_are_scrubbed_and_counted() -> None:
    token = "gh" + "p_" + "a1B2" * 10
    made = clean(f"Write to mira@harbour.no, key {token}.", "text/plain", category="posts")
    assert made.text == "Write to [email], key [api_key]."
    assert made.removed["email"]["count"] == 1


@pytest.mark.parametrize("body", ["", "   \n\n ", "<html></html>", "<p>", "```", "#", "> "])
def test_odd_input_gives_text_and_no_error(body: str) -> None:
    for media_type in ("text/html", "text/markdown", "text/plain"):
        assert clean(body, media_type).title


def test_handbook_articles_lose_their_furniture_and_keep_their_words(real_data) -> None:
    path = real_data / "handbook" / "ArticleDocument.json"
    users = json.loads((real_data / "handbook" / "UserDocument.json").read_text())
    bylines, count = set(), 0
    for user in users:
        author = Author("x", f"{user['first_name']} {user['last_name']}")
        for item in Handbook(str(path), author).read():
            if isinstance(item, RawDocument):
                made = clean(item.body, item.media_type, title=item.title)
                count += 1
                for furniture in ("Sign in", "Share this post", "Copy link"):
                    assert furniture not in made.text, item.url
                assert made.kept_share >= 0.99, item.url
                if made.byline and not author.is_named(made.byline):
                    bylines.add(made.byline)
    assert count == 76
    assert {"Li", "Alex Razvant"} <= bylines


@pytest.mark.parametrize(
    ("html", "markdown"),
    [
        ("<ul><li>a<ol><li>b<ul><li>c</li></ul></li></ol></li><li>d</li></ul>", "- a\n  1. b\n     - c\n- d"),
        ("<ul><li><p>a</p><p>b</p></li></ul>", "- a\n\n  b"),
        ("<table><tr><th>A|B</th></tr><tr><td><code>x|y</code></td></tr></table>", "| A\\|B |\n| --- |\n| `x\\|y` |"),
        ("<blockquote><p>Words.</p><footer>— Ada</footer></blockquote>", "> Words.\n>\n> — Ada"),
        ('<pre class="lang:py">x = 1</pre>', "```py\nx = 1\n```"),
        ('<div class="highlight-source-rust"><pre>fn main() {}</pre></div>', "```rust\nfn main() {}\n```"),
        ('<pre><code class="language-js">`a`\n```</code></pre>', "````js\n`a`\n```\n````"),
        ("<p># not a heading</p><p>&gt; not a quote</p>", "\\# not a heading\n\n\\> not a quote"),
        ("<p>H<sub>2</sub>O, x<sup>2</sup>, <del>no</del>, a <code>b`c</code></p>",
         "H<sub>2</sub>O, x<sup>2</sup>, ~~no~~, a `` b`c ``"),
        ("<dl><dt>Term</dt><dd>what it is</dd></dl>", "Term\n:   what it is"),
        ("<p>𝗕𝗼𝗹𝗱 “quotes” and it’s <em>mine</em>…</p>", "𝗕𝗼𝗹𝗱 “quotes” and it’s *mine*…"),
        ("<p>One</p><p>More</p>", "One\n\nMore"),
        ('<p>A<sup id="fnref:1"><a href="#fn:1" class="footnote-ref">1</a></sup>.</p><section class="footnotes"><ol>'
         '<li id="fn:1"><p>Note. <a href="#fnref:1" class="footnote-backref">↩</a></p><p>More of it.</p></li></ol>'
         "</section>",
         "A[^1].\n\n[^1]: Note.\n\n    More of it."),
        ('<p>A<a class="footnote-anchor" href="#footnote-1">1</a></p><div class="footnote"><a class="footnote-number" '
         'href="#footnote-anchor-1">1</a><div class="footnote-content"><p>A <b>note</b>.</p></div></div>',
         "A[^1]\n\n[^1]: A **note**."),
    ],
)  # fmt: skip
def test_what_a_writer_set_stays_set(html: str, markdown: str) -> None:
    made = clean(f"<p>Before.</p>{html}<p>After.</p>", "text/html", title="t")
    assert made.text == f"Before.\n\n{markdown}\n\nAfter."
    assert made.kept_share == 1.0
