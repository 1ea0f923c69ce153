"""Scoring a draft over HTTP, and the page for it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from twin_assets_tests.support.prose import FOREIGN, essay_texts
from twin_assets_tests.support.site import Api


@pytest.fixture
def reader(essayist: Api) -> Iterator[httpx.Client]:
    """A client with the key."""
    with essayist.client(headers={"Authorization": "Bearer first-key"}) as found:
        found.timeout = 240
        yield found


def test_an_authors_text_scores_well_and_anothers_badly(reader: httpx.Client) -> None:
    found = reader.post("/score", json={"text": essay_texts(11)[-1], "author": "bo"}).json()
    assert list(found) == ["score", "percentile", "words", "verifier", "sentences"]
    assert found["score"] > 0.7
    other = reader.post("/score", json={"text": FOREIGN, "author": "bo"}).json()
    assert other["score"] < 0.3
    assert other["verifier"]["remarks"]


def test_what_cannot_be_scored_is_a_problem_that_says_why(reader: httpx.Client) -> None:
    refused = reader.post("/score", json={"text": FOREIGN, "author": "ada"})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:llm-twin:problem:style-unknown")
    assert "too little to know a style by" in refused.json()["detail"]
    short = reader.post("/score", json={"text": "Six words are not enough here.", "author": "bo"})
    assert (short.status_code, short.json()["type"]) == (422, "urn:llm-twin:problem:draft-unfit")
    assert reader.post("/score", json={"text": " ", "author": "bo"}).status_code == 422
    assert reader.post("/score", json={"text": "a", "author": "nobody"}).status_code == 404


def test_the_page_is_open_and_what_it_calls_is_not(essayist: Api) -> None:
    with essayist.client() as stranger:
        page = stranger.get("/score")
        assert page.headers["content-type"].startswith("text/html")
        assert 'src="/page/score/score.js"' in page.text
        for name in ("score/score.js", "score/score.css", "parts/page.css", "parts/elements.js"):
            assert stranger.get(f"/page/{name}").status_code == 200
        assert stranger.post("/score", json={"text": "a", "author": "bo"}).status_code == 401
