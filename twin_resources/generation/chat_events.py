"""Reading the server-sent events of a chat completion that OpenAI-compatible servers stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from twin_resources.generation.base import FinishReason, Generation


class ChatEvents:
    """Takes the bytes of a response as they come, cut anywhere, and gives the text in them.

    ``error`` is what the server said when it broke off; the text before it has been given by then.
    """

    def __init__(self) -> None:
        self.error: object = None
        self._rest = b""
        self._pieces: list[str] = []
        self._counted = 0
        self._reason: FinishReason = "stop"
        self._usage: Mapping[str, Any] = {}

    def feed(self, data: bytes) -> str:
        """The text of every event that ``data`` completes, joined; white space before the first word is left out.

        Raises:
            ValueError: an event is not JSON.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        found = ""
        for line in lines:
            if not line.startswith(b"data:") or (event := line[5:].strip()) == b"[DONE]":
                continue
            found += self._text(from_json(event))
            if self.error is not None:
                break
        if not self._pieces:
            found = found.lstrip()
        if found:
            self._pieces.append(found)
        return found

    def _text(self, event: Mapping[str, Any]) -> str:
        self.error = event.get("error")
        self._usage = event.get("usage") or self._usage
        found = ""
        for choice in event.get("choices") or ():
            if choice.get("finish_reason") == "length":
                self._reason = "length"
            if text := (choice.get("delta") or {}).get("content"):
                self._counted += 1
                found += text
        return found

    def generation(self, *, cancelled: bool = False) -> Generation:
        """The whole answer; where the server does not count tokens, its events are counted."""
        return Generation(
            "".join(self._pieces).strip(),
            int(self._usage.get("prompt_tokens") or 0),
            int(self._usage.get("completion_tokens") or self._counted),
            "cancelled" if cancelled else self._reason,
        )
