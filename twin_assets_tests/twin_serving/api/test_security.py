from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from twin_assets_tests.support.site import Api, embedder_of, listening, wait_for
from twin_resources.config.settings import Settings, SettingsError
from twin_serving.api.app import create_app
from twin_serving.api.security import is_loopback


@pytest.fixture(scope="module")
def guarded(new_settings: Callable[..., Settings]) -> Iterator[str]:
    """An application with keys and without an engine."""
    app = create_app(new_settings(api_keys="first-key, second-key"), None, embed=embedder_of)
    unknown = {"Authorization": "Bearer unknown"}
    with listening(app) as url:
        wait_for(lambda: httpx.get(f"{url}/authors", headers=unknown).status_code == 401, 40)
        yield url


def test_the_network_is_refused_without_a_key(new_settings: Callable[..., Settings]) -> None:
    with pytest.raises(SettingsError, match="set TWIN_API_KEYS"):
        create_app(new_settings(host="0.0.0.0"))
    create_app(new_settings(host="0.0.0.0", api_keys="k"))
    assert [is_loopback(host) for host in ("127.0.0.1", "localhost", "[::1]", "10.0.0.1", "localhost.evil.com")] == [
        True,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("path", ["/authors", "/readyz", "/metrics", "/openapi.json", "/v1/models", "/lineage"])
def test_every_call_needs_a_key(guarded: str, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic first-key"}):
        refused = httpx.get(guarded + path, headers=headers)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
    for key in ("first-key", "second-key"):
        assert httpx.get(guarded + path, headers={"Authorization": f"Bearer {key}"}).status_code != 401


def test_the_page_and_liveness_are_open(guarded: str) -> None:
    for path in ("/", "/healthz", "/page/chat/chat.js", "/page/parts/page.css"):
        assert httpx.get(guarded + path).status_code == 200
    assert httpx.get(f"{guarded}/page/../app.py").status_code in (401, 404)
    assert httpx.get(f"{guarded}/page/%2e%2e/app.py").status_code in (401, 404)


def test_a_load_balancer_asks_without_a_key_and_learns_nothing_else(guarded: str) -> None:
    wait_for(lambda: httpx.get(f"{guarded}/healthz/ready").status_code == 200, 60)
    assert httpx.get(f"{guarded}/healthz/ready").json() == {"ready": True}


def test_an_api_without_an_engine_searches_quotes_and_says_what_it_cannot(guarded: str) -> None:
    headers = {"Authorization": "Bearer first-key"}

    def state() -> dict | None:
        found = httpx.get(f"{guarded}/readyz", headers=headers).json()
        return found if found["ready"] else None

    found = wait_for(state, 40)
    assert (found["can_answer"], found["components"]["generator"]["reason"]) == (
        False,
        "the API was started without an engine",
    )
    body = {"query": "gauge", "author": "ada"}
    assert httpx.post(f"{guarded}/search", json=body, headers=headers).json()["results"] == []
    silent = httpx.post(f"{guarded}/ask", json=body, headers=headers).json()
    assert (silent["abstained"], silent["nearest"]) == (True, [])
    refused = httpx.post(f"{guarded}/ask", json={**body, "mode": "generate"}, headers=headers)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "3")


def test_another_host_name_is_refused(client: httpx.Client) -> None:
    for host in ("evil.example.com", "127.0.0.1.evil.com", "", "192.168.1.5"):
        assert client.get("/authors", headers={"Host": host}).status_code in (400, 421)
    assert client.get("/authors", headers={"Host": "localhost:8000"}).status_code == 200


def test_a_foreign_page_cannot_write(client: httpx.Client, api: Api) -> None:
    body = {"trace_id": "0" * 32, "rating": "up"}
    for headers in ({"Origin": "https://evil.example.com"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.post("/feedback", json=body, headers=headers).status_code == 403
    assert client.post("/feedback", json=body, headers={"Origin": api.url}).status_code == 404
    assert "access-control-allow-origin" not in client.get("/authors", headers={"Origin": "https://x.example"}).headers
    assert client.delete("/documents/x", headers={"Origin": "https://evil.example.com"}).status_code == 403


def test_every_response_carries_the_security_headers(client: httpx.Client) -> None:
    for path in ("/", "/authors", "/nowhere", "/page/chat/chat.js"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert len(headers["x-trace-id"]) == 32


def test_a_body_without_a_length_is_limited_too(client: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 100_000

    response = client.post("/ask", content=pieces(), headers={"Content-Type": "application/json"})
    assert response.status_code == 413


def test_the_server_lives_before_anything_is_loaded(new_settings: Callable[..., Settings]) -> None:
    app = create_app(new_settings(database_url="postgresql://nobody@127.0.0.1:9/none"), None)
    with listening(app) as url:
        assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}
        state = httpx.get(f"{url}/readyz")
        assert state.status_code == 503
        assert state.json()["ready"] is False
        balanced = httpx.get(f"{url}/healthz/ready")
        assert (balanced.status_code, balanced.json()) == (503, {"ready": False})
        refused = httpx.post(f"{url}/search", json={"query": "x", "author": "ada"})
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:llm-twin:problem:not-ready")
        wait_for(lambda: "nobody" in httpx.get(f"{url}/readyz").json()["components"]["database"]["reason"])
