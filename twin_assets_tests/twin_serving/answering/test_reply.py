"""An answer from its question to its record, without any HTTP."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

import anyio
import pytest
import sqlalchemy as sa

from twin_assets_tests.support.site import QUESTION, SITE, Api
from twin_assets_tests.support.tiny_models import BASE
from twin_resources.config.settings import Settings
from twin_resources.database.schema import interaction
from twin_resources.generation.base import GeneratorError
from twin_resources.storage.calls.interactions import trace_id
from twin_serving.answering.errors import NotReady, UnknownModel
from twin_serving.answering.policy import Question
from twin_serving.answering.reply import GONE, Written, begin
from twin_serving.answering.services import Services

ASKED = Question(call="ask", author="ada", text=QUESTION, mode="write", temperature=0)
ENDLESS = Question(call="ask", author="ada", text="Go on", model="ada-failed", max_tokens=2048, use_rag=False)


@pytest.fixture
def services(api: Api) -> Services:
    """Those of the running application."""
    return api.app.state.services


def recorded(api: Api, trace: str) -> dict[str, Any] | None:
    with api.database.connect() as session:
        row = session.execute(sa.select(interaction).where(interaction.c.id == trace)).mappings().one_or_none()
    return dict(row) if row else None


async def stays() -> bool:
    return False


async def leaves() -> bool:
    return True


def test_the_pieces_end_with_what_was_written_and_recorded(services: Services, api: Api) -> None:
    trace = trace_id()

    async def read() -> list[str | Written]:
        found: list[str | Written] = []
        async for piece in (await begin(services, ASKED, trace)).pieces():
            if isinstance(piece, Written):
                assert recorded(api, trace), "it is kept before the reader has all of it"
            found.append(piece)
        return found

    *pieces, written = anyio.run(read)
    assert isinstance(written, Written)
    assert "".join(piece for piece in pieces if isinstance(piece, str)).strip() == BASE
    assert len(pieces) > 5
    assert written.answer.text == BASE.removesuffix(".") + " [1]."
    assert written.answer.citations[0].url == f"{SITE}/tides"
    assert (written.question, written.trace_id, written.model["version"]) == (ASKED, trace, "twin/ada@base")
    row = recorded(api, trace)
    assert row is not None
    assert (row["answer"], row["error"], row["call"]) == (written.answer.text, None, "ask")
    assert row["usage"]["total_tokens"] == written.usage["total_tokens"]


def test_a_whole_answer_is_the_same(services: Services) -> None:
    async def ask() -> Written:
        return await (await begin(services, ASKED, trace_id())).whole(stays)

    written = anyio.run(ask)
    assert written.answer.grounded
    assert {"search_total", "first_token", "generate", "total"} <= set(written.timings_ms)


def test_an_answer_that_nobody_waits_for_is_stopped(services: Services, api: Api) -> None:
    trace = trace_id()

    async def ask() -> Written:
        with anyio.fail_after(10):
            return await (await begin(services, ENDLESS, trace)).whole(leaves)

    with pytest.raises(GeneratorError, match="cancelled"):
        anyio.run(ask)
    row = recorded(api, trace)
    assert row is not None
    assert row["error"] == "the answer was cancelled"
    assert services.engine.waiting() == 0


def test_a_reader_who_leaves_a_stream_is_recorded_with_what_was_read(services: Services, api: Api) -> None:
    trace = trace_id()

    async def leave() -> str:
        async with contextlib.aclosing((await begin(services, ENDLESS, trace)).pieces()) as pieces:
            first = await anext(pieces)
            assert isinstance(first, str)
            return first

    first = anyio.run(leave)
    row = recorded(api, trace)
    assert row is not None
    assert (row["answer"], row["error"]) == (first, GONE)


def test_a_wrong_question_is_no_failure_of_ours_and_not_recorded(services: Services, api: Api) -> None:
    trace = trace_id()
    with pytest.raises(UnknownModel, match="no model 'nobody'"):
        anyio.run(begin, services, dataclasses.replace(ASKED, model="nobody"), trace)
    assert recorded(api, trace) is None


def test_before_the_database_is_there_it_says_so_and_counts_what_was_not_kept(
    new_settings: Callable[..., Settings],
) -> None:
    services = Services(new_settings(), None)
    with pytest.raises(NotReady, match="the database is not ready: starting"):
        anyio.run(begin, services, ASKED, trace_id())
    assert services.monitor.registry.get_sample_value("twin_unrecorded_total") == 1


def test_a_question_is_said_by_name_and_stays_as_it_was_asked() -> None:
    with pytest.raises(TypeError):
        Question("ask", "ada", "Why?")  # pyright: ignore[reportCallIssue]
    with pytest.raises(dataclasses.FrozenInstanceError):
        ASKED.text = "Something else"  # pyright: ignore[reportAttributeAccessIssue]
