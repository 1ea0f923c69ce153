"""The OpenAPI document."""

from __future__ import annotations

from typing import Any

import httpx
from starlette.routing import Route

from twin_assets_tests.support.site import Api


def test_every_route_is_in_the_openapi_document(client: httpx.Client, api: Api) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for route in api.app.routes:
        if isinstance(route, Route):
            for method in (route.methods or set()) - {"HEAD"}:
                assert method.lower() in document["paths"][route.path], (method, route.path)

    assert document["components"]["schemas"]["AskIn"]["required"] == ["query", "author"], "two authors are served"

    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [found for value in node.values() for found in references(value)]
        return [found for value in node for found in references(value)] if isinstance(node, list) else []

    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"], reference
