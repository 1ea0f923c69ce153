"""The OpenAPI document of a set of operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from pydantic_core import to_jsonable_python

from twin_serving.api.operations import Operation
from twin_serving.api.schemas.base import ProblemOut
from twin_serving.api.schemas.documents import DocumentIn


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The OpenAPI 3.1 document.

    ``DocumentIn`` is in it although no operation names it: each document of a request is checked by itself.
    """
    inputs = {operation.body for operation in operations if operation.body} | {DocumentIn}
    outputs = {operation.out for operation in operations if not isinstance(operation.out, str)} | {ProblemOut}
    wanted: list[tuple[type[BaseModel], Any]] = [
        *((model, "validation") for model in sorted(inputs, key=lambda model: model.__name__)),
        *((model, "serialization") for model in sorted(outputs, key=lambda model: model.__name__)),
    ]
    names, definitions = models_json_schema(wanted, ref_template="#/components/schemas/{model}")
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, names)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LLM Twin",
            "version": "1",
            "description": "Search an author's work and ask their twin. Errors are RFC 9457 problems, and OpenAI's "
            "error objects under /v1. Every response has its trace id in X-Trace-Id.",
        },
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "one of TWIN_API_KEYS"}},
        },
        "security": [{}, {"key": []}],
    }


def _described(operation: Operation, names: Mapping[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": operation.handler.__name__,
        "responses": _responses(operation, names),
    }
    if operation.body:
        described["requestBody"] = {
            "required": any(part.is_required() for part in operation.body.model_fields.values()),
            "content": {"application/json": {"schema": names[(operation.body, "validation")]}},
        }
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
        content["text/event-stream"] = {"schema": {"type": "string"}}
    problem: dict[str, Any] = {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemOut"}},
    }
    if operation.path.startswith("/v1/"):
        shape = {"type": "object", "properties": {"error": {"type": "object"}}}
        problem = {"application/json": {"schema": shape}}
    found = {str(operation.status): {"description": "done", "content": content}}
    for status in operation.errors:
        if operation.path == "/readyz":
            found[str(status)] = {"description": "not ready", "content": content}
        else:
            found[str(status)] = {"description": "a problem", "content": problem}
    return found


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        *(
            {"name": part[1:-1], "in": "path", "required": True, "schema": {"type": "string"}}
            for part in operation.path.split("/")
            if part.startswith("{")
        ),
        *(
            {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
            for name, text in operation.query.items()
        ),
    ]
