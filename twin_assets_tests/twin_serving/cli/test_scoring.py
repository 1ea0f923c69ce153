"""Scoring drafts from the command line."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from twin_assets.clean.snapshot import take_snapshot
from twin_assets_tests.support.command_line import CONSENT, Twin
from twin_assets_tests.support.prose import FOREIGN, essay_texts, few_impostors
from twin_resources.config.settings import load
from twin_resources.database import postgres
from twin_resources.storage.warehouse import Warehouse
from twin_serving.answering import scoring

OWN = 10


@pytest.fixture
def writer(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> Twin:
    """``twin`` with an author of essays, cleaned but not embedded; few impostors, for speed."""
    monkeypatch.setattr(scoring, "packaged", few_impostors)
    twin("init", "--id", "ada", "--name", "Ada Example", "--consent", CONSENT, "--source", "folder:notes")
    rows = [
        {"url": f"https://ada.example/{row}", "title": f"Essay {row}", "markdown": text, "byline": "Ada Example"}
        for row, text in enumerate(essay_texts(OWN))
    ]
    (twin.folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    twin("import", "mine.jsonl")
    engine = sa.create_engine(postgres.databases(load().postgres).engine_url, poolclass=sa.NullPool)
    take_snapshot(Warehouse(engine), load().author("ada").author, "articles")
    return twin


def test_a_draft_is_scored_without_a_server_or_a_model(writer: Twin) -> None:
    (writer.folder / "draft.md").write_text(essay_texts(OWN + 1)[-1])
    found = writer.json("score", "draft.md")
    assert list(found) == ["score", "percentile", "words", "verifier", "sentences"]
    assert found["score"] > 0.7
    assert found["verifier"]["counts"]
    assert {"text", "start", "end", "words", "score", "nearest"} == set(found["sentences"][0])
    other = writer("score", "-", answers=FOREIGN)
    assert "this score counts" in other
    assert "least like the author" in other
    (writer.folder / "own.md").write_text(essay_texts(1)[0])
    assert "stands in your document “Essay 0”" in writer("score", "own.md")


def test_what_cannot_be_scored_is_said_with_exit_code_1(ada: Twin) -> None:
    assert "no.md cannot be read" in ada("score", "no.md", code=1)
    (ada.folder / "empty.md").write_text(" \n")
    assert "empty.md is empty" in ada("score", "empty.md", code=1)
    (ada.folder / "draft.md").write_text("I read the gauge. " * 20)
    assert "nobody" in ada("score", "draft.md", "--author", "nobody", code=1)
    assert "0 documents, which is too little" in ada("score", "draft.md", code=1)
