"""Conversations: reading one again, and taking it back."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twin_resources.forgetting.forget import Forgetting
from twin_serving.answering.results import given_fields
from twin_serving.api.operations import Operation
from twin_serving.api.requests import paging_of, services_of
from twin_serving.api.responses import json_response
from twin_serving.api.schemas.answers import ConversationOut, EndedOut


async def read_conversation(request: Request) -> Response:
    """The turns of a conversation, as they were given."""
    wanted = _wanted(request)
    found = await run_in_threadpool(services_of(request).conversations.read, wanted, paging_of(request))
    return json_response(
        ConversationOut.model_validate(
            {
                "conversation_id": wanted,
                "author": found.author,
                "turns": [given_fields(turn) for turn in found.turns.items],
                "next": found.turns.next,
            }
        )
    )


async def end_conversation(request: Request) -> Response:
    """Delete a conversation with what readers said of its answers."""
    services, wanted = services_of(request), _wanted(request)
    ended = await run_in_threadpool(lambda: Forgetting(services.settings, services.database).conversation(wanted))
    return json_response(EndedOut(conversation_id=wanted, turns=ended))


def _wanted(request: Request) -> str:
    return request.path_params["id"].replace("\x00", "")


OPERATIONS = (
    Operation(
        "GET",
        "/conversations/{id}",
        read_conversation,
        "A conversation, with its turns as they were given",
        ConversationOut,
        errors=(404, 422),
        paged=True,
    ),
    Operation(
        "DELETE",
        "/conversations/{id}",
        end_conversation,
        "Delete a conversation, with what readers said of its answers",
        EndedOut,
        errors=(404,),
    ),
)
