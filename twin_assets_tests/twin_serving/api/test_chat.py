from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
import sqlalchemy as sa

from twin_assets_tests.support.site import SITE, Api, add_adapter, running, wait_for
from twin_assets_tests.support.tiny_models import BASE, FIRST, TinyModels
from twin_resources.config.settings import Settings
from twin_resources.database.schema import interaction
from twin_resources.generation.base import Generator
from twin_resources.generation.embedded import EmbeddedGenerator
from twin_resources.rag import prompt

QUESTION = {"role": "user", "content": "How often does the gauge at Skarvik write a reading?"}


@pytest.fixture
def chat(api: Api) -> Iterator[Callable[..., Any]]:
    with openai.OpenAI(base_url=f"{api.url}/v1", api_key="unused", max_retries=0) as client:

        def create(messages: list[dict[str, Any]] | None = None, **options: Any) -> Any:
            asked: Any = {"model": "twin/ada", "temperature": 0, "messages": messages or [QUESTION], **options}
            return client.chat.completions.create(**asked)

        create.client = client  # pyright: ignore[reportFunctionMemberAccess]
        yield create


def test_the_official_client_gets_an_answer_with_citations(chat: Callable[..., Any]) -> None:
    found = chat()
    assert found.choices[0].message.content == BASE.removesuffix(".") + " [1]."
    assert found.choices[0].finish_reason == "stop"
    assert found.twin["citations"][0]["url"] == f"{SITE}/tides"
    assert found.usage.total_tokens > 10
    assert found.model == "twin/ada@base"
    assert chat(model="twin/ada@ada-first", extra_body={"use_rag": False}).choices[0].message.content == FIRST
    assert chat(max_tokens=2).choices[0].finish_reason == "length"
    assert chat(stop=" writes").choices[0].message.content == "The tide gauge at Skarvik [1]"


def test_the_official_client_reads_the_stream(chat: Callable[..., Any]) -> None:
    chunks = list(chat(stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.strip() == BASE
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-2].twin["citations"][0]["url"] == f"{SITE}/tides"
    assert chunks[-2].twin["answer"] == BASE.removesuffix(".") + " [1]."
    assert chunks[-1].usage.completion_tokens > 5


def test_a_conversation_and_a_system_message_reach_the_model(chat: Callable[..., Any], api: Api) -> None:
    found = chat(
        [
            {"role": "system", "content": "Be brief. ### Answer"},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Good day."},
            {"role": "user", "content": [{"type": "text", "text": "And the gauge?"}]},
            {"role": "user", "content": "At Skarvik?"},
        ]
    )
    with api.database.connect() as session:
        stored = session.scalar(sa.select(interaction.c.prompt).where(interaction.c.id == found.twin["trace_id"])) or ""
    assert [part in stored for part in ("Be brief.", "[assistant]\nGood day.", "And the gauge?\n\nAt Skarvik?")] == [
        True,
        True,
        True,
    ]


def test_models_are_listed(chat: Callable[..., Any]) -> None:
    names = [model.id for model in chat.client.models.list()]  # pyright: ignore[reportFunctionMemberAccess]
    assert {"twin/ada", "twin/ada@base", "twin/ada@ada-first", "twin/bo"} <= set(names)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": "gpt-4"}, openai.NotFoundError, "there are: twin/ada, twin/bo"),
        ({"model": "twin/ada@none"}, openai.NotFoundError, "there are: base"),
        ({"model": "twin/cy"}, openai.NotFoundError, "no author 'cy'"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, openai.UnprocessableEntityError, "begin and end"),
        ({"n": 2}, openai.UnprocessableEntityError, "n: "),
        ({"tools": [{"type": "function"}]}, openai.UnprocessableEntityError, "not supported"),
        ({"max_tokens": 10**6}, openai.UnprocessableEntityError, "max_tokens"),
    ],
)  # fmt: skip
def test_errors_have_openais_shape(
    chat: Callable[..., Any], options: dict[str, Any], error: type[openai.APIStatusError], message: str
) -> None:
    with pytest.raises(error) as raised:
        chat(**options)
    body: Any = raised.value.body
    assert message in body["message"]
    assert body["type"] == "invalid_request_error"
    assert body["trace_id"] == raised.value.response.headers["x-trace-id"]


@pytest.fixture(scope="module")
def slow(
    new_settings: Callable[..., Settings], seed: Callable[[Settings], sa.Engine], tiny: TinyModels
) -> Iterator[Api]:
    """An application with room for one answer, and an adapter that never ends one."""
    settings = new_settings(models={"base": str(tiny.base), "reranker": None})
    database = seed(settings)
    add_adapter(settings, database, "ada-endless", tiny.endless)

    def make(settings: Settings) -> Generator:
        return EmbeddedGenerator(
            settings.models.base,
            tiny.base,
            render=prompt.render,
            stop=prompt.STOP,
            queue_size=1,
            no_repeat=0,
            repetition_penalty=1.0,
        )

    with running(settings, database, make=make) as found:
        yield found


ENDLESS = {"query": "Go on", "author": "ada", "model": "ada-endless", "max_tokens": 2048, "use_rag": False}


def last_error(api: Api) -> str | None:
    with api.database.connect() as session:
        return session.scalar(sa.select(interaction.c.error).order_by(interaction.c.at.desc()).limit(1))


@pytest.mark.parametrize("stream", [True, False])
def test_a_reader_who_leaves_ends_the_writing(slow: Api, stream: bool) -> None:
    with slow.client() as client:
        if stream:
            with client.stream("POST", "/ask", json={**ENDLESS, "stream": True}) as response:
                assert next(response.iter_lines()) == "event: token"
        else:
            with pytest.raises(httpx.ReadTimeout):
                client.post("/ask", json=ENDLESS, timeout=1)
        start = time.monotonic()
        wait_for(lambda: slow.app.state.services.engine.waiting() == 0)
        assert time.monotonic() - start < 3
        wait_for(lambda: last_error(slow) == ("the client went away" if stream else "the answer was cancelled"))
        answer = client.post("/ask", json={**ENDLESS, "model": "base"}).json()["answer"]
        assert answer == BASE


def test_a_full_queue_says_when_to_come_back(slow: Api) -> None:
    with slow.client() as client, slow.client() as other:
        with client.stream("POST", "/ask", json={**ENDLESS, "stream": True}) as response:
            lines = response.iter_lines()
            next(lines)
            refused = other.post("/ask", json=ENDLESS)
            assert refused.status_code == 503
            assert refused.json()["type"] == "urn:llm-twin:problem:queue-full"
            assert int(refused.headers["retry-after"]) > 0
            with (
                openai.OpenAI(base_url=f"{slow.url}/v1", api_key="x", max_retries=0) as official,
                pytest.raises(openai.InternalServerError, match="answers are waiting"),
            ):
                official.chat.completions.create(model="twin/ada@base", messages=[{"role": "user", "content": "x"}])
        wait_for(lambda: slow.app.state.services.engine.waiting() == 0)


def test_stopping_the_server_ends_a_running_answer(slow: Api) -> None:
    engine = slow.app.state.services.engine
    answer = engine.stream(prompt.messages("Go on"), version="ada-endless", max_tokens=8000, temperature=0)
    next(answer)
    thread = threading.Thread(target=answer.cancel)
    thread.start()
    thread.join(timeout=5)
    wait_for(lambda: engine.waiting() == 0)
