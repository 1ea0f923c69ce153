"""From the source to the passages no word is lost or doubled: our own fixtures, and every real document there is."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from twin_assets.chunk.chunk import chunk, fold
from twin_assets.clean.clean import clean
from twin_resources.config.settings import Settings
from twin_resources.readers.page import read_page
from twin_resources.retrieval.embedder import TokenCounter
from twin_resources.sources.base import Author, RawDocument
from twin_resources.sources.registry import registry

DATA = Path(__file__).parents[1] / "data"
OWN = {
    "folder": "folder", "github": "github/clockwork", "handbook": "handbook", "jsonl": "jsonl",
    "linkedin_export": "linkedin", "medium_export": "medium/medium-export", "substack_export": "substack",
}  # fmt: skip
REAL = [
    ("handbook", "handbook/ArticleDocument.json", "Paul Iusztin", 50),
    ("handbook", "handbook/ArticleDocument.json", "Maxime Labonne", 26),
    ("medium_export", "medium/export/medium-export", "A", 14),
    ("medium_export", "medium/export-handmade", "A", 7),
    ("substack_export", "substack/export-handmade", "A", 1),
    ("linkedin_export", "linkedin/export", "A", 184),
    ("linkedin_export", "linkedin/export-synthetic.zip", "A", 31),
    ("folder", "authors/til", "A", 578),
]


@pytest.fixture(scope="module")
def counter() -> TokenCounter:
    return TokenCounter.of(Settings(home=Path("/nonexistent")))


def documents(kind: str, location: Path, author: str) -> list[RawDocument]:
    items = registry()[kind](str(location), Author("a", author)).read()
    return [item for item in items if isinstance(item, RawDocument)]


def page(path: Path) -> RawDocument:
    read = read_page(path.read_text(encoding="utf-8"), "https://me.example/a")
    return RawDocument(str(path), "web", "articles", "text/html", read.body, title=read.title)


def plain(location: Path) -> Iterator[RawDocument]:
    cranfield = (location / "cranfield" / "cran.all.1400").read_text(encoding="utf-8")
    for number, text in enumerate(re.split(r"^\.I \d+\n", cranfield, flags=re.M)):
        if text.strip():
            yield RawDocument(f"cranfield:{number}", "x", "articles", "text/plain", text)
    for line in (location / "dbpedia" / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        yield RawDocument(entry["_id"], "x", "articles", "text/plain", entry["text"], title=entry["title"])


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"[^\W_]+", text.casefold()))


def whole(document: RawDocument, counter: TokenCounter) -> None:
    """The document keeps its words in cleaning, and its passages are its clean text, each at its place."""
    made = clean(document.body, document.media_type, title=document.title, category=document.category)
    assert made.kept_share >= 0.99, document.url
    if document.media_type == "text/plain" and not made.removed:
        assert words(made.text) == words(document.body), document.url
    path, language = document.extra.get("path"), document.extra.get("language")
    passages = chunk(made.text, document.category, counter, title=made.title, path=path, language=language)
    assert "".join(passage.text for passage in passages) == made.text, document.url
    at = 0
    for passage in passages:
        assert (passage.start, made.text[passage.start : passage.end]) == (at, passage.text), document.url
        assert passage.tokens <= counter.limit, document.url
        assert passage.embedded_text.endswith(fold(passage.text.strip("\n")))
        at = passage.end


@pytest.mark.parametrize("kind", sorted(OWN))
def test_our_fixtures_come_through_whole(kind: str, counter: TokenCounter) -> None:
    found = documents(kind, DATA / OWN[kind], "Ada Example")
    assert found
    for document in found:
        whole(document, counter)


def test_our_pages_come_through_whole(counter: TokenCounter) -> None:
    for path in sorted(DATA.glob("pages/*/page.html")):
        whole(page(path), counter)


@pytest.mark.parametrize(("kind", "location", "author", "count"), REAL)
def test_real_documents_come_through_whole(real_data, counter, kind, location, author, count) -> None:
    found = documents(kind, real_data / location, author)
    assert len(found) == count
    for document in found:
        whole(document, counter)


def test_real_pages_come_through_whole(real_data, counter: TokenCounter) -> None:
    for path in [*real_data.glob("*/pages/*/source.html"), *real_data.glob("*/pages/*.html")]:
        whole(page(path), counter)


def test_the_retrieval_collections_come_through_whole(real_data, counter: TokenCounter) -> None:
    count = 0
    for document in plain(real_data / "retrieval"):
        whole(document, counter)
        count += 1
    assert count == 6400


def test_styled_letters_are_searched_plain_and_kept_as_they_are(counter: TokenCounter) -> None:
    text = "𝗕𝗼𝗹𝗱 𝘄𝗼𝗿𝗱𝘀 and 𝘪𝘵𝘢𝘭𝘪𝘤 ones, é, ﬁne, 日本語, ½."
    (passage,) = chunk(text, "posts", counter)
    assert passage.text == text
    assert passage.embedded_text == "Bold words and italic ones, é, fine, 日本語, ½."
