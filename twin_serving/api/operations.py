"""What a call is: the routes and the OpenAPI document are made of these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from twin_resources.storage.keys import Kind

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Whole:
    """A whole number in a query: what it says, and from where to where it may go."""

    about: str
    least: int
    most: int


@dataclass(frozen=True)
class Needed:
    """A text in a query that has to be given; ``pattern``, where there is one, has to match all of it."""

    about: str
    pattern: str | None = None


@dataclass(frozen=True)
class Operation:
    """One call: where it is, what handles it, what goes in and comes out. Its handler's name is its id."""

    method: str
    path: str
    handler: Handler
    summary: str
    out: type[BaseModel] | str
    """The response model, or its media type where it is no JSON of ours."""
    body: type[BaseModel] | None = None
    query: Mapping[str, str | Whole | Needed] = field(default_factory=dict)
    one_of_query: bool = False
    """Whether exactly one of the ``query`` parameters has to be given; else each may be left out."""
    status: int = 200
    errors: tuple[int, ...] = ()
    """Statuses of its own; those that any call may have are in the OpenAPI document too."""
    streams: bool = False
    needs: Kind = "reader"
    """The least kind of key that may call it."""
    writes: bool = False
    """Whether it takes an ``Idempotency-Key``; its handler names the author of its answer."""
    paged: bool = False
    """Whether it takes ``limit`` and ``cursor``, and answers with the ``next`` cursor."""
    upload: bool = False
    """Whether its body is a file."""
    open: bool = False
    """Whether it answers without a key, and from no database."""
