"""The tools: each is a call of the API with the same arguments, the same services and the same errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from mcp_types import Tool, ToolAnnotations
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from twin_serving.answering.services import Services
from twin_serving.api.mcp.schemas import AnswerOut, PartOut, ReadIn
from twin_serving.api.requests import begun, trace_of
from twin_serving.api.routes.asking.answers import answered, asked
from twin_serving.api.routes.documents import find_document
from twin_serving.api.routes.scoring import judge
from twin_serving.api.routes.search import found_in_turn
from twin_serving.api.schemas.answers import QuestionIn
from twin_serving.api.schemas.base import In, Out
from twin_serving.api.schemas.scoring import ScoreIn, ScoreOut
from twin_serving.api.schemas.search import SearchIn, SearchOut


@dataclass(frozen=True)
class AuthorTool:
    """A tool: what it takes, what it gives, and what does it."""

    name: str
    title: str
    description: str
    takes: type[In]
    gives: type[Out]
    call: Callable[[Services, Request, Any], Awaitable[Out]]

    def described(self) -> Tool:
        """As a client lists it. Nothing that the author wrote is changed by any of them."""
        return Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=self.takes.model_json_schema(),
            output_schema=self.gives.model_json_schema(mode="serialization"),
            annotations=ToolAnnotations(
                title=self.title, read_only_hint=True, destructive_hint=False, open_world_hint=False
            ),
        )


async def _search(services: Services, request: Request, body: SearchIn) -> SearchOut:
    return await found_in_turn(services, body, trace_of(request))


async def _read_document(services: Services, _: Request, body: ReadIn) -> PartOut:
    found = await run_in_threadpool(find_document, services, body.document_id, body.author)
    end = body.offset + body.length
    part = {"text": found.text[body.offset : end], "offset": body.offset, "total": len(found.text)}
    return PartOut.model_validate({**found.model_dump(), **part, "next_offset": end if end < len(found.text) else None})


async def _ask(services: Services, request: Request, body: QuestionIn) -> AnswerOut:
    writing = await begun(request, await asked(request, body))
    written = answered(await writing.whole(request.is_disconnected))
    return AnswerOut.model_validate(written.model_dump(include=set(AnswerOut.model_fields)))


async def _score_draft(services: Services, _: Request, body: ScoreIn) -> ScoreOut:
    return await run_in_threadpool(judge, services, body)


TOOLS = (
    AuthorTool(
        "search",
        "Search the author's work",
        "Find passages that an author published, by meaning and by words, the best first. Each names the document that "
        "it stands in; `read_document` gives all of it.",
        SearchIn,
        SearchOut,
        _search,
    ),
    AuthorTool(
        "read_document",
        "Read a document of the author",
        "The text of one document by its `document_id`, in parts: go on at `next_offset` until it is null.",
        ReadIn,
        PartOut,
        _read_document,
    ),
    AuthorTool(
        "ask",
        "Ask the author's twin",
        "Ask what an author thinks. By default the answer is made of the author's own sentences, with citations; where "
        "they wrote nothing about it, `abstained` is true. In mode `write` the twin writes a text in the author's "
        "manner, which is no statement of theirs.",
        QuestionIn,
        AnswerOut,
        _ask,
    ),
    AuthorTool(
        "score_draft",
        "Score a draft",
        "How much a draft of at least 50 words sounds like an author, from 0 to 1, sentence by sentence, and what it "
        "has otherwise than their documents. What the score is worth stands in `verifier`.",
        ScoreIn,
        ScoreOut,
        _score_draft,
    ),
)
