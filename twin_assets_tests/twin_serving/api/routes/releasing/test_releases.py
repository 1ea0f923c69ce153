"""Approving over HTTP."""

from __future__ import annotations

import httpx


def test_only_versions_that_passed_may_be_approved(client: httpx.Client) -> None:
    listed = {each["version"]: each for each in client.get("/releases", params={"author": "ada"}).json()["releases"]}
    assert listed["ada-first"]["passed"]
    refused = client.post("/releases/ada-failed/approve")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:llm-twin:problem:release-refused")
    assert "held_out_loss" in refused.json()["detail"]
    assert client.post("/releases/ada-nothing/approve").status_code == 404
    assert client.post("/releases/rollback", json={"author": "bo"}).status_code == 409


def test_a_rejection_needs_a_reason_and_stands_in_the_listing_and_the_report(client: httpx.Client) -> None:
    for wrong in ({}, {"comment": " "}):
        assert client.post("/releases/ada-second/reject", json=wrong).status_code == 422
    rejected = client.post("/releases/ada-second/reject", json={"comment": "answers in lists", "by": "Ada"}).json()
    assert (rejected["decision"]["action"], rejected["decision"]["comment"]) == ("reject", "answers in lists")
    report = client.get("/releases/ada-second/report").json()
    assert report["release"]["decision"] == report["history"][0] == rejected["decision"]
    assert report["reports"] == []
    assert client.get("/releases/ada-nothing/report").status_code == 404
    assert client.get("/releases/ada-second/plots/generation/loss.png").status_code == 404
    assert client.post("/releases/ada-nothing/reject", json={"comment": "x"}).status_code == 404


def test_versions_come_in_pages(client: httpx.Client) -> None:
    seen: list[str] = []
    query = {"author": "ada", "limit": "2"}
    while True:
        found = client.get("/releases", params=query).json()
        seen += [each["version"] for each in found["releases"]]
        if found["next"] is None:
            break
        query["cursor"] = found["next"]
    assert len(seen) == len(set(seen))
    assert {"ada-first", "ada-second", "ada-failed"} <= set(seen)
