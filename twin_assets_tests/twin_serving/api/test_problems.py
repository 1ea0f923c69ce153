"""Errors as people and programs read them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from twin_resources.generation.base import GeneratorError, QueueFull
from twin_resources.runtime.places import Busy
from twin_serving.answering.errors import AuthorNeeded, NotReady, UnknownAuthor, UnknownModel
from twin_serving.api.problems import problem_of

ASK = {"method": "POST", "url": "/ask"}


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("call", "status", "kind"),
    [
        ({"method": "GET", "url": "/nowhere"}, 404, "not-found"),
        ({"method": "GET", "url": "/ask"}, 405, "method-not-allowed"),
        ({**ASK, "json": {"query": "x", "author": "cy"}}, 404, "unknown-author"),
        ({**ASK, "json": {"query": "x"}}, 422, "author-needed"),
        ({**ASK, "json": {"query": " ", "author": "ada"}}, 422, "wrong-input"),
        ({**ASK, "json": {"query": "x\x00", "author": "ada"}}, 422, "wrong-input"),
        ({**ASK, "json": {"query": "x", "author": "ada", "tmp": 1}}, 422, "wrong-input"),
        ({**ASK, "json": {"query": "x", "author": "ada", "model": "b"}}, 404, "unknown-model"),
        ({**ASK, "json": {"query": "y" * 8001, "author": "ada"}}, 422, "wrong-input"),
        ({**ASK, "content": b"{", "headers": JSON}, 400, "not-json"),
        ({**ASK, "content": b"[" * 99999, "headers": JSON}, 400, "not-json"),
        ({**ASK, "content": b'{"query": NaN}', "headers": JSON}, 400, "not-json"),
        ({**ASK, "content": b"\xff", "headers": JSON}, 400, "not-json"),
        ({**ASK, "content": b'{"query": "\\ud800", "author": "ada"}', "headers": JSON}, 422, "wrong-input"),
        ({**ASK, "content": b"{}", "headers": {"Content-Type": "text/x"}}, 415, "json-needed"),
        ({**ASK, "json": {"query": "z" * 1_100_000}}, 413, "too-large"),
        ({"method": "POST", "url": "/search", "json": {"query": "x", "author": "ada", "k": 0}}, 422, "wrong-input"),
        ({"method": "GET", "url": "/lineage?url=http://%00"}, 404, "not-found"),
        ({"method": "GET", "url": "/lineage"}, 422, "wrong-input"),
        ({**ASK, "json": {"query": "x", "author": "ada", "k": "5"}}, 422, "wrong-input"),
        ({**ASK, "json": {"query": "x", "author": "ada", "stream": 1}}, 422, "wrong-input"),
    ],
)  # fmt: skip
def test_errors_are_problems(client: httpx.Client, call: dict[str, Any], status: int, kind: str) -> None:
    response = client.request(**call)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert (body["status"], body["type"]) == (status, f"urn:llm-twin:problem:{kind}")
    assert body["trace_id"] == response.headers["x-trace-id"]
    assert body["detail"]
    assert "Traceback" not in response.text


def test_an_unknown_author_is_told_who_there_is(client: httpx.Client) -> None:
    detail = client.post("/search", json={"query": "x", "author": "cy"}).json()["detail"]
    assert "ada, bo" in detail


@pytest.mark.parametrize(
    ("error", "status", "kind", "headers"),
    [
        (NotReady("search", "it loads", 7), 503, "not-ready", {"Retry-After": "7"}),
        (QueueFull("3 answers are waiting", 5), 429, "queue-full", {"Retry-After": "5"}),
        (Busy(64), 429, "queue-full", {"Retry-After": "1"}),
        (UnknownModel("there is none"), 404, "unknown-model", {}),
        (UnknownAuthor("there is none"), 404, "unknown-author", {}),
        (AuthorNeeded("name one"), 422, "author-needed", {}),
        (GeneratorError("no memory"), 502, "engine-failed", {}),
    ],
)
def test_what_keeps_an_answer_has_its_status(error: Exception, status: int, kind: str, headers: dict[str, str]) -> None:
    found = problem_of(error)
    assert (found.status, found.kind, found.detail, found.headers) == (status, kind, str(error), headers)


def test_an_unexpected_error_says_nothing_of_its_inside() -> None:
    found = problem_of(RuntimeError("the password is s3cret"))
    assert (found.status, found.kind) == (500, "internal-error")
    assert "s3cret" not in str(found.body("0"))
