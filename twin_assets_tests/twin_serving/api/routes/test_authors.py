"""The authors and the page that shows them."""

from __future__ import annotations

import httpx


def test_authors_and_page(client: httpx.Client) -> None:
    found = client.get("/authors").json()["authors"]
    assert [each["id"] for each in found] == ["ada", "bo"]
    assert {each["version"] for each in found[0]["versions"]} == {"ada-first", "ada-second", "ada-failed"}
    page = client.get("/")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert client.get("/page/chat/chat.js").status_code == client.get("/page/parts/page.css").status_code == 200
