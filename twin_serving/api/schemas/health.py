"""How the API is."""

from __future__ import annotations

from typing import Any, Literal

from twin_serving.api.schemas.base import Out


class LiveOut(Out):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class SearchOut(Out):
    """Whether searches are answered; why not is for those with a key (``GET /readyz``)."""

    ready: bool


class Component(Out):
    """A part of the API, and what keeps it from working."""

    ready: bool
    reason: str | None


class EngineOut(Out):
    """An engine that is asked over the network: the adapters that it serves over its base model, and what keeps it from
    answering."""

    address: str
    model: str
    adapters: list[str]
    problem: str | None


class ReadyOut(Out):
    """``ready``: searches are answered. ``can_answer``: questions are, too."""

    ready: bool
    can_answer: bool
    components: dict[str, Component]
    champions: dict[str, dict[str, Any]]
    warnings: list[str]
    engines: list[EngineOut]
