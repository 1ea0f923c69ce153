"""The authors whose twins are served."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twin_serving.api.operations import Operation
from twin_serving.api.requests import services_of
from twin_serving.api.responses import json_response
from twin_serving.api.schemas.releasing.releases import AuthorsOut


async def authors(request: Request) -> Response:
    """Authors and their versions."""
    services = services_of(request)

    def look() -> list[dict[str, Any]]:
        found = []
        for author in services.authors:
            versions = services.releases.list(author.id)
            champion = next((each.version for each in versions if "champion" in each.aliases), None)
            found.append(
                {
                    "id": author.id,
                    "name": author.name,
                    "champion": champion,
                    "serving": services.engine.champion(author.id),
                    "versions": [
                        {
                            "version": each.version,
                            "kind": each.kind,
                            "aliases": list(each.aliases),
                            "created_at": each.created_at,
                        }
                        for each in versions
                        if not each.retired_because
                    ],
                }
            )
        return found

    return json_response(AuthorsOut.model_validate({"authors": await run_in_threadpool(look)}))


OPERATIONS = (Operation("GET", "/authors", authors, "Authors whose twins are served", AuthorsOut),)
