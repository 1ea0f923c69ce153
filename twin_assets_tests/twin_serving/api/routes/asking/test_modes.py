"""In whose words a question is answered, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import sqlalchemy as sa

from twin_assets_tests.support.site import QUESTION, SITE, Api, ask, events
from twin_assets_tests.support.tiny_models import BASE
from twin_resources.database.schema import clean_document, interaction
from twin_resources.sources.base import PROFILE


def test_by_itself_the_author_answers_in_their_own_words(client: httpx.Client, api: Api) -> None:
    found = ask(client, mode="auto")
    assert (found["mode"], found["abstained"], found["support"]) == ("quote", False, 1.0)
    assert "own sentences answer" in found["because"]
    assert found["answer"].startswith(BASE + " [1]")
    [first, *_] = found["sentences"]
    assert (first["text"], first["markers"], first["supported"]) == (BASE, [1], True)
    citation = found["citations"][0]
    assert citation["url"] == f"{SITE}/tides"
    assert BASE in citation["quote"]
    assert found["usage"]["completion_tokens"] == 0
    with api.database.connect() as session:
        row = session.execute(sa.select(interaction).where(interaction.c.id == found["trace_id"])).mappings().one()
    assert row["answer"] == found["answer"]
    assert {each["cited"] for each in row["citations"]} == {True}


def test_who_the_author_is_is_answered_with_their_profile_and_recorded(client: httpx.Client, api: Api) -> None:
    post = clean_document.c.category == "posts"
    with api.database.begin() as session:
        session.execute(sa.update(clean_document).where(post).values(attributes={PROFILE: True}))
    try:
        found = api.answers(lambda: _from_a_profile(client))
    finally:
        with api.database.begin() as session:
            session.execute(sa.update(clean_document).where(post).values(attributes={}))
    assert found["answer"].startswith("The ferry engine was changed at night")
    assert [each["url"] for each in found["citations"]] == [f"{SITE}/post"]
    with api.database.connect() as session:
        of_call = sa.select(interaction.c.citations).where(interaction.c.id == found["trace_id"])
        assert [each["url"] for each in session.scalar(of_call) or ()] == [f"{SITE}/post"]


def _from_a_profile(client: httpx.Client) -> dict[str, Any] | None:
    """The answer, once the profile is seen; which ones there are is asked again every few seconds."""
    found = ask(client, mode="auto", query="Who are you?")
    return found if "so they say it" in found["because"] else None


def test_what_nobody_wrote_about_is_answered_with_silence_in_the_language_of_the_question(client: httpx.Client) -> None:
    found = ask(client, mode="auto", query="What is the capital of Mongolia?")
    assert (found["answer"], found["abstained"], found["support"]) == ("I haven't written about that.", True, None)
    assert found["citations"] == []
    assert 1 <= len(found["nearest"]) <= 3
    nearest = found["nearest"][0]
    assert nearest["url"].startswith(SITE)
    assert client.get(f"/documents/{nearest['document_id']}").json()["url"] == nearest["url"]
    german = ask(client, mode="auto", query="Wie heißt eigentlich die Hauptstadt der Mongolei, und wer hat sie gebaut?")
    assert german["answer"] == "Darüber habe ich nicht geschrieben."


def test_a_model_that_may_not_answer_is_silent_too(client: httpx.Client) -> None:
    found = ask(client, mode="generate", query="What is the capital of Mongolia?")
    assert (found["mode"], found["abstained"]) == ("quote", True)


def test_a_generated_sentence_comes_with_the_passage_that_supports_it(client: httpx.Client) -> None:
    found = ask(client, mode="generate")
    assert (found["mode"], found["answer"], found["support"]) == ("generate", f"{BASE[:-1]} [1].", 1.0)
    assert found["citations"][0]["url"] == f"{SITE}/tides"


def test_a_generated_sentence_without_support_gives_way_to_a_quotation(client: httpx.Client) -> None:
    found = ask(client, mode="generate", model="ada-second")
    assert found["mode"] == "quote"
    assert "wrote nothing that the passages support" in found["because"]
    assert BASE in found["answer"]


def test_a_model_that_says_the_question_again_gives_way_too_before_a_word_of_it_is_shown(client: httpx.Client) -> None:
    body = {"query": f"{BASE[:-1]}?", "author": "ada", "mode": "generate", "stream": True}
    with client.stream("POST", "/ask", json=body) as response:
        found = events(response)
    assert [name for name, _ in found] == ["token", "done"]
    assert found[1][1]["mode"] == "quote"
    assert found[0][1]["text"] == found[1][1]["answer"]


def test_a_quotation_streams_and_ends_with_the_whole_answer(client: httpx.Client) -> None:
    body = {"query": QUESTION, "author": "ada", "stream": True}
    with client.stream("POST", "/ask", json=body) as response:
        found = events(response)
    assert [name for name, _ in found] == ["token", "done"]
    assert found[0][1]["text"] == found[1][1]["answer"]


def test_a_follow_up_is_searched_for_with_what_was_asked_before(client: httpx.Client) -> None:
    turns = [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": BASE},
        {"role": "user", "content": "And where does it stand?"},
    ]
    found = client.post("/v1/chat/completions", json={"model": "twin/ada", "messages": turns}).json()
    assert found["twin"]["mode"] == "quote"
    assert f"{SITE}/tides" in [each["url"] for each in found["twin"]["citations"]]


def test_without_an_adapter_a_text_that_is_asked_for_is_answered_with_quotations(client: httpx.Client) -> None:
    found = ask(client, mode="auto", query="Write a post about the tide gauge at Skarvik")
    assert found["mode"] == "quote"
    assert "no adapter of this author serves yet" in found["because"]


def test_what_the_twin_writes_says_sentence_by_sentence_what_is_supported(client: httpx.Client) -> None:
    supported = ask(client, mode="write")
    assert (supported["mode"], supported["support"]) == ("write", 1.0)
    assert [each["supported"] for each in supported["sentences"]] == [True]
    free = ask(client, mode="write", model="ada-second")
    assert (free["mode"], free["support"]) == ("write", 0.0)
    assert [each["supported"] for each in free["sentences"]] == [False]


def test_openais_protocol_says_the_same(client: httpx.Client) -> None:
    """``twin`` of a chat completion holds all that ``/ask`` says of an answer, silence with what comes near too."""
    for question, mode in ((QUESTION, "quote"), (QUESTION, "write"), ("What is the capital of Mongolia?", "auto")):
        asked = ask(client, query=question, mode=mode, seed=1)
        body = {"model": "twin/ada", "messages": [{"role": "user", "content": question}], "mode": mode}
        chat = client.post("/v1/chat/completions", json={**body, "temperature": 0, "seed": 1}).json()
        assert chat["choices"][0]["message"]["content"] == asked["answer"]
        same = ("mode", "because", "abstained", "support", "grounded", "sentences", "citations", "nearest")
        assert {name: chat["twin"][name] for name in same} == {name: asked[name] for name in same}
