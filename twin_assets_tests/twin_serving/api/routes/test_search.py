"""Searching over HTTP."""

from __future__ import annotations

import httpx
import pytest

from twin_assets_tests.support.site import QUESTION, SITE


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
def test_search_finds_the_passage_in_every_mode(client: httpx.Client, mode: str) -> None:
    found = client.post("/search", json={"query": QUESTION, "author": "ada", "mode": mode, "k": 2}).json()
    assert found["results"][0]["url"] == f"{SITE}/tides"
    assert found["reranker"] is None
    assert "re-ranker" in found["note"]
    assert found["timings_ms"]["total"] > 0
    assert len(found["trace_id"]) == 32


def test_search_obeys_filters_and_expansion_keeps_them(client: httpx.Client) -> None:
    for expand in (False, True):
        body = {"query": "engine and gauge", "author": "ada", "filters": {"category": ["posts"]}, "expand": expand}
        found = client.post("/search", json=body).json()
        assert [each["url"] for each in found["results"]] == [f"{SITE}/post"]
    for day, is_found in (("2026-02-28", False), ("2026-03-01", True)):
        body = {"query": "engine and gauge", "author": "ada", "filters": {"published_to": day}}
        assert bool(client.post("/search", json=body).json()["results"]) is is_found


def test_a_question_is_read_and_what_was_read_is_said(client: httpx.Client) -> None:
    body = {"query": "What did you write on Medium in 2026 about the gauge and when is it read?", "author": "ada"}
    found = client.post("/search", json={**body, "read": True}).json()
    assert found["understood"]["filters"]["platform"] == ["medium"]
    assert found["understood"]["because"]["platform"] == "on Medium"
    assert len(found["understood"]["parts"]) == 2, "a part that leans on the other is not asked alone"
    assert found["results"][0]["url"] == f"{SITE}/tides"
    assert client.post("/search", json=body).json()["understood"] is None
    nothing = client.post("/search", json={"query": "your functions on GitHub", "author": "ada", "read": True}).json()
    assert nothing["understood"]["filters"] == {}, "the author has nothing there"


def test_conditions_that_nothing_meets_give_way(client: httpx.Client) -> None:
    body = {"query": "What did you post in March 2026 about ferries?", "author": "ada", "read": True}
    filters = {"url": [f"{SITE}/post"], "language": ["fr"]}
    assert client.post("/search", json={**body, "filters": filters}).json()["results"] == [], "what a caller sets stays"
    body["query"] = "What did you say in your posts in March 2026 about ferries?"
    only = {**body, "filters": {"url": [f"{SITE}/tides"]}}
    found = client.post("/search", json=only).json()
    assert found["understood"]["filters"]["category"] == ["posts"]
    assert [each["url"] for each in found["results"]] == [f"{SITE}/tides"]
    assert "everything was searched" in found["note"]


def test_newer_and_different_passages_can_be_asked_for(client: httpx.Client) -> None:
    body = {"query": QUESTION, "author": "ada", "recency": 0.5, "diversity": 0.5}
    assert client.post("/search", json=body).json()["results"]
    assert client.post("/search", json={**body, "diversity": 2}).status_code == 422
