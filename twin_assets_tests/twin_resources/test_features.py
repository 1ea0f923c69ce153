"""What training read stays readable as it stood; what serving reads is what is served now."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from twin_assets_tests.support.forgetting import forget
from twin_resources.database.schema import chunk, clean_document
from twin_resources.features import FeatureError, FeatureStore
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.search import Options
from twin_resources.retrieval.vectors import VectorIndex
from twin_resources.storage.datasets import Datasets, Member


def version(index: VectorIndex, name: str) -> None:
    """A dataset version made from what is current, as the dataset assets write it."""
    passages = FeatureStore(index.engine).passages("ada").rows
    snapshot = {
        "clean_documents": sorted({row.clean_document_id for row in passages}),
        "chunkers": sorted({row.chunker for row in passages}),
    }
    members = [Member("s", row.id, row.document_id, row.url, "train") for row in passages]
    Datasets(index.engine).add(name, "ada", "instruct", f"datasets/{name}", {"snapshot": snapshot}, members)


def edit(index: VectorIndex, title: str, text: str) -> None:
    """A new text takes the place of the old one, which stays stored."""
    with index.engine.begin() as session:
        for table, key in ((clean_document, "clean-new"), (chunk, "chunk-new")):
            mine = (table.c.author == "ada") & (table.c.title == title)
            row = dict(session.execute(sa.select(table).where(mine)).mappings().one())
            session.execute(sa.update(table).where(mine).values(current=False))
            row |= {"id": key, "text": text}
            if table is chunk:
                row |= {"clean_document_id": "clean-new", "embedded_text": text, "text_hash": key, "served": False}
            session.execute(sa.insert(table).values(row))


def test_a_version_reads_as_it_stood_and_now_reads_as_it_is(index: VectorIndex) -> None:
    features = FeatureStore(index.engine)
    version(index, "one")
    edit(index, "bread", "Rye, at last.")
    then, now = features.documents("ada", version="one"), features.documents("ada")
    assert (then.version, now.version) == ("one", None)
    assert {row.title for row in then.rows} == {row.title for row in now.rows}
    texts = {row.title: row.text for row in then.rows}
    assert texts["bread"].startswith("Sourdough wants patience")
    assert {row.text for row in now.rows if row.title == "bread"} == {"Rye, at last."}
    assert [row.text for row in features.passages("ada", version="one").rows if row.title == "bread"] == [
        texts["bread"]
    ]
    version(index, "two")
    assert {row.text for row in features.passages("ada", "articles", version="two").rows} >= {"Rye, at last."}
    assert list(features.passages("ada", "posts", version="two").rows) == []


def test_what_is_forgotten_is_gone_from_every_version_and_counted(index: VectorIndex) -> None:
    features = FeatureStore(index.engine)
    version(index, "one")
    gone = next(row for row in features.documents("ada").rows if row.title == "tides")
    forget(index.engine, gone.document_id)
    then = features.documents("ada", version="one")
    assert then.forgotten == 1
    assert gone.id not in {row.id for row in then.rows}
    assert all(row.title != "tides" for row in features.passages("ada", version="one").rows)


def test_search_is_what_is_served(index: VectorIndex, embedder: Embedder) -> None:
    hits = FeatureStore(index.engine).search("ada").find("ada", "sourdough", None, k=1, options=Options("lexical"))
    assert hits[0].title == "bread"
    with pytest.raises(FeatureError, match="nothing of bo is served yet"):
        FeatureStore(index.engine).search("bo")


def test_an_unknown_version_is_refused(index: VectorIndex) -> None:
    Datasets(index.engine).add("bare", "ada", "instruct", "datasets/bare", {}, [])
    features = FeatureStore(index.engine)
    with pytest.raises(FeatureError, match="`twin datasets` lists them"):
        features.documents("ada", version="nothing")
    with pytest.raises(FeatureError, match="bo has no one dataset version"):
        features.documents("bo", version="bare")
    with pytest.raises(FeatureError, match="once more"):
        features.passages("ada", version="bare")
