"""Forgetting a document from the command line."""

from __future__ import annotations

import sqlalchemy as sa
from typer.testing import CliRunner

from twin_assets_tests.support.command_line import URL, Twin, add_adapter, add_dataset, document_of
from twin_serving.cli.main import app


def test_a_forgotten_document_is_gone_and_stays_gone(ada: Twin, engine: sa.Engine) -> None:
    assert "nothing was deleted" in ada("forget", URL, code=1, answers="n\n")
    assert "nothing was deleted" in ada("forget", URL, code=1)
    assert ada.json("status")["authors"][0]["documents"] == 2
    said = ada("forget", f"{URL}?utm_source=x", answers="y\n")
    assert f"forgotten: {URL}" in said
    assert ada.json("import", "mine.jsonl")["skipped"] == {"forgotten": 1}
    assert ada.json("status")["authors"][0]["documents"] == 1
    assert "no document has the URL" in ada("forget", URL, code=1)
    assert "no document has the id" in ada("forget", "0" * 24, "--yes", code=1)


def test_forgetting_names_the_adapters_and_retires_them(ada: Twin, engine: sa.Engine) -> None:
    key = document_of(engine, URL)
    add_dataset(engine, "d1", {"s1": (key, URL)})
    add_adapter(engine, "ada-1", "d1", passed=True)
    ada("approve", "ada-1")
    assert "ada-1 (champion) was trained on it and stays in use" in CliRunner().invoke(app, ["forget", URL]).stdout
    said = ada("forget", key, "--yes", "--retire")
    assert "retired: ada-1" in said
    assert "no champion is left" in said
    assert "is retired" in ada("approve", "ada-1", code=1)
    assert "retired: trained on" in ada("candidates")


def test_a_source_and_an_author_are_forgotten_whole(ada: Twin, engine: sa.Engine) -> None:
    assert "name one thing" in ada("forget", code=2)
    assert "say whose" in ada("forget", "--everything", code=2)
    assert "nothing was deleted" in ada("forget", "--source", "mine.jsonl", code=1)
    said = ada("forget", "--source", "mine.jsonl", "--yes")
    assert "2 documents" in said
    assert "back-ups" in said
    assert ada.json("import", "mine.jsonl")["skipped"] == {"forgotten": 2}
    assert ada.json("forget", "--author", "ada", "--everything", "--yes")["author"] == "ada"
    with engine.connect() as session:
        assert session.scalar(sa.text("SELECT count(*) FROM author")) == 0
