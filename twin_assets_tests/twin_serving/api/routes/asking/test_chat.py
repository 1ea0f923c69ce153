"""OpenAI's calls, with OpenAI's own client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
import sqlalchemy as sa

from twin_assets_tests.support.site import SITE, Api
from twin_assets_tests.support.tiny_models import BASE, FIRST
from twin_resources.database.schema import interaction

ASKED = {"role": "user", "content": "How often does the gauge at Skarvik write a reading?"}


@pytest.fixture
def chat(api: Api) -> Iterator[Callable[..., Any]]:
    with openai.OpenAI(base_url=f"{api.url}/v1", api_key="unused", max_retries=0) as client:

        def create(messages: list[dict[str, Any]] | None = None, **options: Any) -> Any:
            extra = {"mode": "write", **options.pop("extra_body", {})}
            asked: Any = {"model": "twin/ada", "temperature": 0, "messages": messages or [ASKED], **options}
            asked["extra_body"] = extra
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


def test_the_last_question_is_answered_whatever_stands_around_it(chat: Callable[..., Any]) -> None:
    before = {"role": "assistant", "content": "What would you like to know?"}
    after = [{"role": "assistant", "content": "Let me think."}, {"role": "user", "content": " "}]
    assert chat([before, ASKED, *after]).choices[0].message.content == chat().choices[0].message.content


def test_models_are_listed(chat: Callable[..., Any]) -> None:
    names = [model.id for model in chat.client.models.list()]  # pyright: ignore[reportFunctionMemberAccess]
    assert {"twin/ada", "twin/ada@base", "twin/ada@ada-first", "twin/bo"} <= set(names)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": "gpt-4"}, openai.NotFoundError, "there are: twin/ada, twin/bo"),
        ({"model": "twin/ada@none"}, openai.NotFoundError, "there are: base"),
        ({"model": "twin/cy"}, openai.NotFoundError, "no author 'cy'"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, openai.UnprocessableEntityError, "message of the user"),
        ({"model": "twin"}, openai.NotFoundError, "there are: twin/ada, twin/bo"),
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
