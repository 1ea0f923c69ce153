from __future__ import annotations

import json
from typing import Any

import pytest

from twin_resources.generation.chat_events import ChatEvents


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(each, ensure_ascii=False).encode() for each in events)


def said(text: str) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text}}]}


WHOLE = (
    sse(said(" \n"), said("Ebbe für "), said("Skarvik"), {"choices": [{"delta": {}, "finish_reason": "length"}]})
    + sse({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}})
    + b": a comment\r\ndata: [DONE]\r\n\r\n"
)


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_text_is_whole_wherever_the_bytes_are_cut(size: int) -> None:
    events = ChatEvents()
    pieces = [events.feed(WHOLE[start : start + size]) for start in range(0, len(WHOLE), size)]
    assert "".join(pieces) == "Ebbe für Skarvik"
    made = events.generation()
    assert (made.text, made.prompt_tokens, made.completion_tokens) == ("Ebbe für Skarvik", 7, 5)
    assert made.finish_reason == "length"


def test_what_came_together_is_one_piece() -> None:
    assert ChatEvents().feed(sse(said("One "), said("two"))) == "One two"


def test_a_server_that_does_not_count_has_its_events_counted() -> None:
    events = ChatEvents()
    events.feed(sse(said("One "), said("two")))
    assert events.generation(cancelled=True).completion_tokens == 2
    assert events.generation(cancelled=True).finish_reason == "cancelled"


def test_the_text_before_an_error_is_kept() -> None:
    events = ChatEvents()
    assert events.feed(sse(said("One"), {"error": {"message": "no memory"}}, said(" two"))) == "One"
    assert events.error == {"message": "no memory"}
