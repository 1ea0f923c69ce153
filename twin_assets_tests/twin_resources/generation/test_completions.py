"""One JSON object from a real server on loopback, whatever goes wrong on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import formatdate
from functools import partial
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from twin_assets_tests.support.writer import Writer, completion
from twin_resources.config.settings import Settings
from twin_resources.generation.base import GeneratorError
from twin_resources.generation.completions import Completions, Unanswered

SCHEMA = {"type": "object", "properties": {"instruction": {"type": "string"}}, "required": ["instruction"]}
TURNS = [{"role": "user", "content": "<passage>\nThe harbour sleeps.\n</passage>"}]


@pytest.fixture
def writer() -> Iterator[Writer]:
    with Writer() as started:
        yield started


def status(code: int, **headers: str) -> partial[Response]:
    return partial(JSONResponse, {"error": {"message": "no"}}, code, headers)


def ask(writer: Writer, waits: list[float] | None = None, **options: Any) -> str:
    waits = [] if waits is None else waits
    client = Completions(writer.url, key="s3cret", first_wait=0.5, sleep=waits.append, **options)
    try:
        return client.ask(TURNS, name="write_about", schema=SCHEMA, max_tokens=50).text
    finally:
        client.close()


def test_an_object_is_asked_for_by_its_schema_with_the_key(writer: Writer) -> None:
    assert "harbour" in ask(writer)
    (body,) = writer.asked
    assert body["model"] == "scribe-1"
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert writer.keys == {"Bearer s3cret"}


def test_a_busy_or_broken_server_is_asked_again_when_it_said(writer: Writer) -> None:
    soon = formatdate(time.time() + 30, usegmt=True)
    writer.faults.extend([
        status(429, **{"Retry-After": "7"}), status(503, **{"Retry-After": soon}), status(500), status(429),
    ])  # fmt: skip
    waits: list[float] = []
    assert "harbour" in ask(writer, waits)
    assert len(writer.asked) == 5
    assert waits[0] == 7
    assert 25 < waits[1] <= 30
    assert waits[2:] == [2.0, 4.0], "where it says nothing each wait is twice the last"
    writer.faults.append(status(429, **{"Retry-After": "86400"}))
    ask(writer, waits, longest_wait=9)
    assert waits[-1] == 9


def test_what_is_not_answered_says_why(writer: Writer) -> None:
    for fault, failure in ((status(429), "rate_limited"), (status(502), "server_error"), (status(400), "refused")):
        writer.faults.extend([fault] * 4)
        with pytest.raises(Unanswered) as raised:
            ask(writer, attempts=2)
        assert raised.value.failure == failure
        assert "s3cret" not in str(raised.value)
        writer.faults.clear()
    writer.slow = 0.5
    with pytest.raises(Unanswered) as raised:
        ask(writer, attempts=2, timeout=0.1, model="named")
    assert raised.value.failure == "timeout"
    writer.url = "http://127.0.0.1:9"
    with pytest.raises(Unanswered) as raised:
        ask(writer, attempts=2, model="named")
    assert raised.value.failure == "unreachable"


def test_a_wrong_key_or_another_host_ends_it_at_once(writer: Writer) -> None:
    elsewhere = partial(RedirectResponse, "http://127.0.0.1:9/v1/chat/completions")
    for fault in (status(401), status(403), elsewhere):
        before = len(writer.asked)
        writer.faults.append(fault)
        with pytest.raises(GeneratorError, match="TWIN_GENERATOR_KEY") as raised:
            ask(writer)
        assert not isinstance(raised.value, Unanswered)
        assert "s3cret" not in str(raised.value)
        assert len(writer.asked) == before + 1


def test_a_server_without_schemas_is_asked_for_plain_json_from_then_on(writer: Writer) -> None:
    writer.knows_format = False
    client = Completions(writer.url)
    for _ in range(3):
        assert "harbour" in client.ask(TURNS, name="write_about", schema=SCHEMA, max_tokens=50).text
    client.close()
    assert ["response_format" in body for body in writer.asked] == [True, False, False, False]


def test_a_response_in_no_known_form_is_an_empty_one(writer: Writer) -> None:
    for odd in (partial(PlainTextResponse, "<html>"), partial(JSONResponse, {"choices": []}), partial(completion, "")):
        writer.faults.append(odd)
        assert ask(writer) == ""


def test_nothing_is_asked_where_no_server_is_named(settings: Settings) -> None:
    assert Completions.of(settings) is None
