"""Samples in the forms that training programs read, one JSON object a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twin_resources.rag import prompt

Converted = dict[str, Any]


def alpaca(row: Mapping[str, Any], author: str) -> Converted:
    """``instruction``, ``input`` (the passages, numbered) and ``output``, and ``history`` where it goes on from earlier
    turns."""
    shown = "\n\n".join(f"[{each.marker}] {each.title}\n{each.text}" for each in _passages(row))
    earlier = {"history": [list(turn) for turn in turns]} if (turns := _turns(row)) else {}
    return {"instruction": row["instruction"], "input": shown, "output": row["answer"], **earlier, **_mark(row)}


def chatml(row: Mapping[str, Any], author: str) -> Converted:
    """``messages`` with roles, the very turns that serving and training show the model."""
    history = prompt.history(_turns(row))
    turns = prompt.messages(row["instruction"], _passages(row), author=author, history=history)
    return {"messages": [*turns, {"role": "assistant", "content": row["answer"]}], **_mark(row)}


def sharegpt(row: Mapping[str, Any], author: str) -> Converted:
    """``conversations`` of ``system``, ``human`` and ``gpt``."""
    names = {"system": "system", "user": "human", "assistant": "gpt"}
    turns = chatml(row, author)["messages"]
    return {"conversations": [{"from": names[turn["role"]], "value": turn["content"]} for turn in turns], **_mark(row)}


def dpo(row: Mapping[str, Any], author: str) -> Converted:
    """``prompt``, ``chosen`` and ``rejected``."""
    return {name: row[name] for name in ("prompt", "chosen", "rejected")}


def _mark(row: Mapping[str, Any]) -> Converted:
    """``augmented`` for a sample that repeats another with its instruction in other words."""
    return {"augmented": "paraphrase"} if row.get("paraphrase_of") else {}


def _passages(row: Mapping[str, Any]) -> list[prompt.Passage]:
    return [prompt.Passage(marker, each["title"], each["text"]) for marker, each in enumerate(row["passages"], 1)]


def _turns(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(turn["instruction"], turn["answer"]) for turn in row.get("history") or ()]


FORMATS: dict[str, tuple[str, Callable[[Mapping[str, Any], str], Converted]]] = {
    "alpaca": ("instruct", alpaca),
    "sharegpt": ("instruct", sharegpt),
    "chatml": ("instruct", chatml),
    "dpo": ("preference", dpo),
}
"""Formats with the kind of dataset that each is for. ``hf`` is besides: the files as they are, of any kind."""
