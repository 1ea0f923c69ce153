"""Questions that lean on the ones before them, and reading a conversation and an answer again."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from twin_assets_tests.support.site import QUESTION, Api, ask, events
from twin_assets_tests.support.tiny_models import BASE
from twin_resources.database.schema import interaction

LEANING = "And where does it stand?"
UNKNOWN = "urn:llm-twin:problem:unknown-conversation"


def quoted(client: httpx.Client, query: str, **body: Any) -> dict[str, Any]:
    return ask(client, query=query, mode="quote", **body)


def test_a_question_that_leans_on_the_one_before_it_is_searched_for_with_it(client: httpx.Client) -> None:
    first = quoted(client, QUESTION)
    assert first["searched_for"] == QUESTION
    second = quoted(client, LEANING, conversation_id=first["conversation_id"])
    assert second["conversation_id"] == first["conversation_id"]
    assert "gauge at Skarvik" in second["searched_for"]
    assert LEANING in second["searched_for"]
    assert "It stands on the north pier" in second["answer"]
    third = quoted(client, "And why?", conversation_id=first["conversation_id"])
    assert "gauge at Skarvik" in third["searched_for"], "it leans on one that leans itself"
    alone = quoted(client, LEANING)
    assert alone["searched_for"] == LEANING
    assert alone["conversation_id"] != first["conversation_id"]


def test_what_was_said_before_reaches_the_model_and_the_stream_says_where_to_go_on(
    client: httpx.Client, api: Api
) -> None:
    first = ask(client)
    body = {"query": LEANING, "author": "ada", "mode": "write", "conversation_id": first["conversation_id"]}
    with client.stream("POST", "/ask", json={**body, "temperature": 0, "stream": True}) as response:
        name, done = events(response)[-1]
    assert (name, done["conversation_id"]) == ("done", first["conversation_id"])
    with api.database.connect() as session:
        prompt = session.scalar(sa.select(interaction.c.prompt).where(interaction.c.id == done["trace_id"])) or ""
    assert f"[user]\n{QUESTION}\n\n[assistant]\n{first['answer']}\n\n[user]" in prompt


def test_a_conversation_of_another_author_or_of_nobody_is_not_gone_on_with(client: httpx.Client) -> None:
    mine = quoted(client, QUESTION)["conversation_id"]
    for author, conversation in (("bo", mine), ("ada", "never-was")):
        refused = client.post("/ask", json={"query": LEANING, "author": author, "conversation_id": conversation})
        assert (refused.status_code, refused.json()["type"]) == (404, UNKNOWN)
    assert client.post("/ask", json={"query": "x", "author": "ada", "conversation_id": "x" * 65}).status_code == 422


@pytest.mark.parametrize(
    ("query", "mode"),
    [(QUESTION, "quote"), (QUESTION, "write"), (QUESTION, "generate"), ("What is the capital of Mongolia?", "auto")],
)
def test_an_answer_is_read_as_it_was_given(client: httpx.Client, query: str, mode: str) -> None:
    given = ask(client, query=query, mode=mode)
    read = client.get(f"/answers/{given['trace_id']}").json()
    assert (read.pop("question"), read.pop("author")) == (query, "ada")
    assert read.pop("at").endswith("Z")
    conversation = given.pop("conversation_id")
    assert given.pop("signed") is None
    assert read == given, "and a shared answer leads nobody to the rest of the conversation"
    [turn] = client.get(f"/conversations/{conversation}").json()["turns"]
    assert {name: turn[name] for name in given} == given


def test_without_passages_nothing_was_searched_for(client: httpx.Client) -> None:
    given = ask(client, use_rag=False)
    assert (given["answer"], given["searched_for"]) == (BASE, None)
    assert client.get(f"/answers/{given['trace_id']}").json()["searched_for"] is None


def test_an_answer_to_openais_clients_is_read_too_and_belongs_to_no_conversation(
    client: httpx.Client, api: Api
) -> None:
    body = {"model": "twin/ada", "messages": [{"role": "user", "content": QUESTION}], "mode": "quote"}
    twin = client.post("/v1/chat/completions", json=body).json()["twin"]
    assert client.get(f"/answers/{twin['trace_id']}").json()["citations"] == twin["citations"]
    with api.database.connect() as session:
        kept = session.scalar(sa.select(interaction.c.conversation).where(interaction.c.id == twin["trace_id"]))
    assert kept is None


def test_a_search_or_nothing_is_no_answer(client: httpx.Client) -> None:
    search = client.post("/search", json={"query": "gauge", "author": "ada"}).json()["trace_id"]
    for trace in (search, "0" * 32):
        refused = client.get(f"/answers/{trace}")
        assert (refused.status_code, refused.json()["type"]) == (404, "urn:llm-twin:problem:not-found")


def test_a_conversation_comes_in_pages_and_is_taken_back(client: httpx.Client) -> None:
    first = quoted(client, QUESTION)
    path = f"/conversations/{first['conversation_id']}"
    second = quoted(client, LEANING, conversation_id=first["conversation_id"])
    page = client.get(path, params={"limit": 1}).json()
    assert (page["author"], [each["trace_id"] for each in page["turns"]]) == ("ada", [second["trace_id"]])
    page = client.get(path, params={"limit": 1, "cursor": page["next"]}).json()
    assert ([each["trace_id"] for each in page["turns"]], page["next"]) == ([first["trace_id"]], None)
    assert client.get(path, params={"cursor": "none"}).status_code == 422
    ended = client.delete(path)
    assert (ended.status_code, ended.json()["turns"]) == (200, 2)
    gone = [client.get(path), client.delete(path)]
    assert {(each.status_code, each.json()["type"]) for each in gone} == {(404, UNKNOWN)}
    assert client.get(f"/answers/{first['trace_id']}").status_code == 404
    body = {"query": LEANING, "author": "ada", "conversation_id": first["conversation_id"]}
    assert client.post("/ask", json=body).json()["type"] == UNKNOWN
