"""OpenAI's protocol, with LangChain's client: what people put a twin into a chain with."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from openai import NotFoundError
from pydantic import SecretStr

from twin_assets_tests.support.site import Api
from twin_assets_tests.support.tiny_models import BASE, FIRST

QUESTION = "How often does the gauge at Skarvik write a reading?"
CITED = BASE.removesuffix(".") + " [1]."


def client(api: Api, model: str = "twin/ada@base", **extra: object) -> ChatOpenAI:
    return ChatOpenAI(
        model=model,
        base_url=f"{api.url}/v1",
        api_key=SecretStr("unused"),
        temperature=0,
        max_retries=0,
        stream_usage=True,
        extra_body={"mode": "write", **extra},
    )


@pytest.fixture(autouse=True)
def _untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGSMITH_TRACING", "false")


def test_an_answer_and_its_tokens(api: Api) -> None:
    answer = client(api).invoke([SystemMessage("Be brief."), HumanMessage(QUESTION)])
    assert isinstance(answer, AIMessage)
    assert answer.content == CITED
    assert answer.usage_metadata
    assert answer.usage_metadata["total_tokens"] > 10
    assert answer.response_metadata["finish_reason"] == "stop"
    assert client(api, "twin/ada@ada-first", use_rag=False).invoke(QUESTION).content == FIRST


def test_a_stream_in_a_chain(api: Api) -> None:
    chain = ChatPromptTemplate.from_messages([("user", "{question}")]) | client(api) | StrOutputParser()
    pieces = list(chain.stream({"question": QUESTION}))
    assert len([piece for piece in pieces if piece]) > 1
    assert "".join(pieces).strip() == BASE


@pytest.mark.anyio
async def test_an_answer_in_an_event_loop(api: Api) -> None:
    assert (await client(api).ainvoke(QUESTION)).content == CITED


def test_a_model_that_there_is_not(api: Api) -> None:
    with pytest.raises(NotFoundError, match="no model 'twin/ada@nobody'"):
        client(api, "twin/ada@nobody").invoke(QUESTION)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
