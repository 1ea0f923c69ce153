"""From an answer to the documents behind it, from a URL to all it touched, and out of all of it when forgotten."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from twin_resources.database.schema import forgotten
from twin_resources.retrieval.vectors import VectorIndex
from twin_resources.storage import lineage
from twin_resources.storage.calls.interactions import Interactions
from twin_resources.storage.chunk_store import ChunkStore
from twin_resources.storage.datasets import Datasets, Member
from twin_resources.storage.releases import Adapter, Releases

URL = "https://example.com/ada/tides"


@pytest.fixture
def engine_with_work(index: VectorIndex) -> sa.Engine:
    """Ada's passages, a dataset with one sample of each split, and an adapter that was trained on it."""
    engine = index.engine
    passages = list(ChunkStore(engine).current("ada"))
    splits = {"tides": "train", "bread": "test"}
    members = [
        Member(f"s-{each.title}", each.id, each.document_id, each.url, splits[each.title])
        for each in passages
        if each.title in splits
    ]
    Datasets(engine).add("data", "ada", "instruct", "datasets/data", {}, members)
    Releases(engine).add_adapter(Adapter("a", "ada", "ada-1", "sft", "tiny", "adapters/a", "data", {}, {}, None))
    return engine


def ids(engine: sa.Engine, title: str) -> tuple[str, str]:
    """Document and passage of a title."""
    [found] = [each for each in ChunkStore(engine).current("ada") if each.title == title]
    return found.document_id, found.id


def test_a_url_shows_its_versions_passages_datasets_and_adapters(engine_with_work: sa.Engine) -> None:
    [found] = lineage.of_url(engine_with_work, URL)["documents"]
    assert [len(found[name]) for name in ("versions", "clean", "chunks", "copies")] == [1, 1, 1, 0]
    assert [(each["id"], each["split"], each["samples"]) for each in found["datasets"]] == [("data", "train", 1)]
    assert [each["version"] for each in found["adapters"]] == ["ada-1"]


def test_a_sample_leads_to_its_passage_the_version_of_its_document_and_its_url_and_back(engine_with_work) -> None:
    document_id, passage = ids(engine_with_work, "tides")
    found = lineage.of_sample(engine_with_work, "s-tides")
    assert [(each["id"], each["kind"], each["split"]) for each in found["datasets"]] == [("data", "instruct", "train")]
    [made_of] = found["passages"]
    assert (made_of["chunk_id"], made_of["document_id"], made_of["url"]) == (passage, document_id, URL)
    [document_found] = lineage.of_url(engine_with_work, URL)["documents"]
    [version] = document_found["versions"]
    assert made_of["version_id"] == version["id"]
    [back] = document_found["samples"]
    assert [back[name] for name in ("dataset_id", "sample_id", "chunk_id", "version_id")] == [
        "data", "s-tides", passage, version["id"]
    ]  # fmt: skip
    with pytest.raises(lineage.LineageError, match="no dataset version has a sample nothing"):
        lineage.of_sample(engine_with_work, "nothing")


def test_an_adapter_is_not_named_for_a_document_it_was_only_measured_on(engine_with_work: sa.Engine) -> None:
    [found] = lineage.of_url(engine_with_work, URL.replace("tides", "bread"))["documents"]
    assert [each["split"] for each in found["datasets"]] == ["test"]
    assert found["adapters"] == []


def test_an_unknown_url_or_trace_is_answered_with_what_to_do(engine_with_work: sa.Engine) -> None:
    with pytest.raises(lineage.LineageError, match="`twin search` shows the URLs there are"):
        lineage.of_url(engine_with_work, "https://example.com/nothing")
    with pytest.raises(lineage.LineageError, match="no answer has the trace nothing"):
        lineage.of_trace(engine_with_work, "nothing")


def test_an_answer_leads_to_its_passages_and_through_the_adapter_to_what_it_learned(engine_with_work) -> None:
    _, passage = ids(engine_with_work, "bread")
    Interactions(engine_with_work).record(
        "t", author="ada", call="ask", query="Why?", answer="So.", version="ada-1", citations=[{"chunk_id": passage}]
    )
    found = lineage.of_trace(engine_with_work, "t")
    assert [(each["chunk_id"], each["title"]) for each in found["passages"]] == [(passage, "bread")]
    assert found["adapter"]["dataset"]["id"] == "data"
    assert [each["url"] for each in found["adapter"]["dataset"]["documents"]] == [URL]


def test_an_answer_of_the_base_has_no_adapter_behind_it(engine_with_work: sa.Engine) -> None:
    Interactions(engine_with_work).record("t", author="ada", call="ask", query="Why?", answer="So.")
    found = lineage.of_trace(engine_with_work, "t")
    assert (found["passages"], found["adapter"]) == ([], None)


def test_who_learned_from_a_document_is_named(engine_with_work: sa.Engine) -> None:
    key, _ = ids(engine_with_work, "tides")
    with engine_with_work.begin() as session:
        learned = [each["version"] for each in lineage.adapters_of(session, [key])]
        lineage.never_again(session, [key], "asked to", learned)
        row = session.execute(sa.select(forgotten.c.document_id, forgotten.c.why, forgotten.c.adapters)).one()
    assert learned == ["ada-1"]
    assert row == (key, "asked to", ["ada-1"])
