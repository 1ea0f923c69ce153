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
