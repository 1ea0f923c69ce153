"""The OpenAPI document of a set of operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from pydantic_core import to_jsonable_python

from twin_resources.storage.inventory.paging import CURSOR
from twin_serving.api.idempotency import HEADER, PATTERN, REPLAYED
from twin_serving.api.operations import Needed, Operation, Whole
from twin_serving.api.requests import LIMIT
from twin_serving.api.schemas.base import ProblemOut
from twin_serving.api.schemas.documents import DocumentIn

_ALWAYS = (401, 403, 421, 429, 500, 503)
"""What every call but the open ones may answer: no key, a page or key that may not, a foreign host, faults of ours."""
_WITH_BODY = (400, 413, 415, 422)
_WRITING = (400, 409, 422)
"""What a write with an ``Idempotency-Key`` may answer: no key, still being answered, another request's key."""


def document(operations: Sequence[Operation], *, author_needed: bool = False) -> dict[str, Any]:
    """The OpenAPI 3.1 document.

    ``DocumentIn`` is in it although no operation names it: each document of a request is checked by itself.

    Args:
        author_needed: whether a body has to name its author, because several are served.
    """
    inputs = {operation.body for operation in operations if operation.body} | {DocumentIn}
    outputs = {operation.out for operation in operations if not isinstance(operation.out, str)} | {ProblemOut}
    wanted: list[tuple[type[BaseModel], Any]] = [
        *((model, "validation") for model in sorted(inputs, key=lambda model: model.__name__)),
        *((model, "serialization") for model in sorted(outputs, key=lambda model: model.__name__)),
    ]
    names, definitions = models_json_schema(wanted, ref_template="#/components/schemas/{model}")
    schemas = definitions["$defs"]
    if author_needed:
        for model in inputs:
            _require_author(schemas[names[(model, "validation")]["$ref"].rpartition("/")[2]])
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, names, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LLM Twin",
            "version": "1",
            "description": "Search an author's work and ask their twin. Errors are RFC 9457 problems, and OpenAI's "
            "error objects under /v1. Every response has its trace id in X-Trace-Id. Assistants find the same as MCP "
            "tools at /mcp.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "one of TWIN_API_KEYS, or of `twin keys`"}
            },
        },
        "security": [{}, {"key": []}],
    }


def _require_author(schema: dict[str, Any]) -> None:
    author = schema["properties"].get("author")
    if author is None:
        return
    [text] = [each for each in author.pop("anyOf") if each["type"] != "null"]
    author.pop("default", None)
    author.update({**text, "description": "one of the authors that /authors lists"})
    schema["required"] = [*schema.get("required", ()), "author"]


def _described(operation: Operation, names: Mapping[Any, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": operation.handler.__name__,
        "responses": _responses(operation, names),
    }
    if operation.body:
        reference = names[(operation.body, "validation")]
        described["requestBody"] = {
            "required": bool(schemas[reference["$ref"].rpartition("/")[2]].get("required")),
            "content": {"application/json": {"schema": reference}},
        }
    if operation.upload:
        binary = {"schema": {"type": "string", "format": "binary"}}
        described["requestBody"] = {"required": True, "content": {"application/octet-stream": binary}}
    if parameters := _parameters(operation):
        described["parameters"] = parameters
    return to_jsonable_python(described)


def _responses(operation: Operation, names: Mapping[Any, Any]) -> dict[str, Any]:
    if isinstance(operation.out, str):
        kind = "object" if operation.out == "application/json" else "string"
        content: dict[str, Any] = {operation.out: {"schema": {"type": kind}}}
    else:
        content = {"application/json": {"schema": names[(operation.out, "serialization")]}}
    if operation.streams:
        content["text/event-stream"] = {"schema": _EVENT}
    problem: dict[str, Any] = {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemOut"}},
    }
    if operation.path.startswith("/v1/"):
        problem = {"application/json": {"schema": _OPENAI_ERROR}}
    found = {str(operation.status): {"description": "done", "content": content}}
    statuses = {
        *operation.errors,
        *(() if operation.open else _ALWAYS),
        *(_WITH_BODY if operation.body else ()),
        *(_WRITING if operation.writes else ()),
        *((421,) if operation.open else ()),
    }
    for status in sorted(statuses):
        found[str(status)] = {"description": HTTPStatus(status).phrase, "content": problem}
    if operation.path in ("/readyz", "/healthz/ready"):
        found["503"] = {"description": "not ready", "content": content}
    return found


def _query(about: str | Whole | Needed) -> dict[str, Any]:
    match about:
        case Whole():
            return _whole(about)
        case Needed():
            pattern = {"pattern": about.pattern} if about.pattern else {}
            return {"description": about.about, "required": True, "schema": {"type": "string", **pattern}}
        case _:
            return {"description": about, "schema": {"type": "string"}}


def _whole(number: Whole) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": number.least, "maximum": number.most}
    return {"description": number.about, "schema": schema}


_EVENT: dict[str, Any] = {
    "type": "object",
    "description": "one server-sent event",
    "required": ["data"],
    "properties": {
        "event": {"type": "string"},
        "data": {"type": "string", "description": "JSON, or [DONE] at the end"},
    },
}
_PAGING: tuple[dict[str, Any], ...] = (
    {"name": "limit", "in": "query", **_whole(LIMIT)},
    {
        "name": "cursor",
        "in": "query",
        "description": "`next` of the page before",
        "schema": {"type": "string", "pattern": CURSOR},
    },
)
_IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": HEADER,
    "in": "header",
    "description": "a new UUID for each write; for a day the same write with the same key gets the first answer again, "
    f"with `{REPLAYED}: true`",
    "schema": {"type": "string", "pattern": PATTERN},
}
_OPENAI_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code", "trace_id"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
                "trace_id": {"type": "string"},
            },
        }
    },
}


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.one_of_query:
        shape = {
            "type": "object",
            "properties": {name: {"type": "string", "description": text} for name, text in operation.query.items()},
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        }
        return [{"name": "of", "in": "query", "required": True, "style": "form", "explode": True, "schema": shape}]
    return [
        *(
            {"name": part[1:-1], "in": "path", "required": True, "schema": {"type": "string"}}
            for part in operation.path.split("/")
            if part.startswith("{")
        ),
        *({"name": name, "in": "query", **_query(about)} for name, about in operation.query.items()),
        *(_PAGING if operation.paged else ()),
        *([_IDEMPOTENCY_KEY] if operation.writes else []),
    ]
