from datetime import UTC, datetime

import pytest


def test_good_lines_become_documents(data, harvest):
    found = harvest(data / "jsonl" / "documents.jsonl").by_url
    assert list(found) == [
        "https://ada.example/a", "https://ada.example/b", "https://ada.example/c", "repository:x/y.py",
    ]  # fmt: skip
    a = found["https://ada.example/a"]
    assert (a.title, a.body, a.media_type, a.byline) == ("A", "Text *a*.", "text/markdown", "Ada Example")
    assert a.published_at == datetime(2024, 5, 6, 5, 8, 9, tzinfo=UTC)
    assert a.also == ("https://mirror.example/a",)
    assert a.extra == {"mood": "calm"}
    b = found["https://ada.example/b"]
    assert (b.platform, b.category, b.media_type, b.title) == ("mastodon", "posts", "text/plain", None)
    assert found["https://ada.example/c"].media_type == "text/html"
    assert found["repository:x/y.py"].media_type == "text/x-code"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (6, "exactly one of text, markdown, html; has text, markdown"),
        (7, "has none"),
        (8, "not absolute: 'e'"),
        (9, "category is one of articles, posts, code, not 'poems'"),
        (10, "not a date: 'next week'"),
        (11, "platform is a lower-case slug"),
        (12, "text is text, not int"),
        (13, "NUL"),
        (14, "surrogate"),
        (15, "an object is expected, not list"),
        (16, "not JSON"),
    ],
)
def test_a_bad_line_is_quarantined_with_its_number_and_problem(data, harvest, line, problem):
    assert problem in harvest(data / "jsonl" / "documents.jsonl").quarantined[f"documents.jsonl line {line}"]


def test_every_line_is_accounted_for(data, harvest):
    found = harvest(data / "jsonl" / "documents.jsonl")
    assert found.skipped == {"duplicate_url": 1, "empty": 1}
    assert len(found.items) == 17
