from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from twin_resources.config.settings import Settings
from twin_resources.database.schema import chunk
from twin_resources.models import hub
from twin_resources.rag.pipeline import Rag
from twin_resources.rag.policy import choose, look, settled
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.search import Hit
from twin_resources.retrieval.vectors import VectorIndex
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.reports import Reports

TIDES = "The harbour gauge measures the tide every six minutes. A heron stands on the wall."
FERRY = "Ferries leave at nine. The engine was replaced without stopping the ferry, in one night."


def hit(name: str, text: str) -> Hit:
    return Hit(name, f"d-{name}", name, f"https://ada.example.com/{name}", "medium", "articles", None, (), text)


HITS = [hit("tides", TIDES), hit("ferry", FERRY)]


class Lengths:
    """A cross-encoder that likes long passages, and whose time runs out after ``seen`` of them."""

    name = "lengths"

    def __init__(self, seen: int) -> None:
        self.seen = seen

    def scores(self, query: str, passages: Sequence[str], *, budget_ms: int) -> list[float]:
        return [float(len(passage)) for passage in passages[: self.seen]]

    def blend(self, found: Sequence[Hit], scores: Sequence[float]) -> list[float]:
        return list(scores)


@pytest.fixture
def rag(settings: Settings, seed: Callable[[Settings], sa.Engine], embedder: Embedder) -> Rag:
    return Rag(settings, seed(settings), embedder)


def test_a_german_noun_that_the_author_has_a_word_for_is_no_unknown_name(rag: Rag) -> None:
    assert rag.unknown_names("ada", "Wie wird der Motor der Fähre in der Mongolei gewechselt?") == ["Mongolei"]


def test_a_budget_that_runs_out_is_said(rag: Rag) -> None:
    before = rag.search("ada", "the tide gauge", k=4)
    assert (before.reranker, before.note) == (
        None,
        "no re-ranker is available; passages are in the order of the search",
    )
    rag.reranker = Lengths(seen=2)  # pyright: ignore[reportAttributeAccessIssue]
    after = rag.search("ada", "the tide gauge", k=4)
    assert after.reranker is None
    assert "ran out after 2 of 4 passages" in (after.note or "")
    assert [each.chunk_id for each in after.hits] == [each.chunk_id for each in before.hits]
    rag.reranker = Lengths(seen=50)  # pyright: ignore[reportAttributeAccessIssue]
    ranked = rag.search("ada", "the tide gauge", k=4)
    assert (ranked.reranker, ranked.note) == ("lengths", None)
    assert [len(each.text) for each in ranked.hits] == sorted((len(each.text) for each in ranked.hits), reverse=True)
    assert rag.search("ada", "the tide gauge", k=4, rerank=False).reranker is None


def test_context_is_packed_without_repeats(rag: Rag) -> None:
    long = hit("long", "A word of many. " * 200)
    again = hit("again", TIDES.upper())
    passages = rag.context([HITS[0], again, long, HITS[1]], 60)
    assert [(each.marker, each.title) for each in passages] == [(1, "tides"), (2, "ferry")]
    assert [each.hit.chunk_id for each in passages if each.hit] == ["tides", "ferry"]
    [cut] = rag.context([long], 50)
    assert cut.text.endswith("A word of many.")
    assert len(cut.text) < 300
    assert rag.context([], 50) == []


def test_what_is_left_of_the_budget_widens_a_passage_to_its_section(rag: Rag) -> None:
    with rag.engine.begin() as session:
        first = dict(session.execute(sa.select(chunk).where(chunk.c.title == "Reading the gauge")).mappings().one())
        more = {"id": "second", "position": 1, "text": " The heron leaves at noon.", "text_hash": "second"}
        session.execute(sa.insert(chunk).values(first | more))
    [best, *_] = rag.search("ada", "the tide gauge", k=1, rerank=False).hits
    [wide] = rag.context([best], 400)
    assert wide.text == f"{first['text'].strip()} The heron leaves at noon."
    room = rag._count(first["text"].strip()) + 2
    [narrow] = rag.context([best], room)
    assert narrow.text == first["text"].strip(), "the section does not fit"


def test_an_author_is_searched_with_the_model_they_are_served_with(rag: Rag, tmp_path: Path) -> None:
    other = tmp_path / "another-minilm"
    other.symlink_to(hub.resolve(rag.settings.models.embedding, rag.settings))
    index = VectorIndex(rag.engine, str(other))
    texts = [row for batch in index.stream_missing("ada") for row in batch]
    index.save(
        zip((key for key, _ in texts), rag.embedder.encode([text for _, text in texts]), strict=True),
        rag.embedder.dimensions,
    )
    assert rag.search("ada", "the tide gauge", k=1).hits[0].title == "Reading the gauge"
    assert index.publish("ada")
    late = Rag(rag.settings, rag.engine, rag.embedder)
    assert late.search("ada", "the tide gauge", k=1).hits[0].title == "Reading the gauge"
    assert late.search("ada", "the tide gauge", k=1, mode="dense").hits[0].scores["dense"] > 0.3


def test_other_words_for_a_question_find_more(rag: Rag) -> None:
    alone = rag.search("ada", "ferries", k=4, mode="lexical", rerank=False)
    both = rag.search("ada", "ferries", k=4, mode="lexical", rerank=False, also=["gauge on the north pier"])
    assert {hit.title for hit in alone.hits} < {hit.title for hit in both.hits}


def released_reranker(rag: Rag, artifact: str) -> None:
    Reports(rag.engine).add(artifact, "ada", "reranker", "dataset", {"released": True}, artifact)


def test_concurrent_questions_share_one_reranker(rag: Rag, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loaded: list[str] = []

    class Slow(Lengths):
        def __init__(self, name: str, folder: Path) -> None:
            super().__init__(seen=50)
            loaded.append(name)
            time.sleep(0.3)

    monkeypatch.setattr("twin_resources.retrieval.reranker.Reranker", Slow)
    (tmp_path / "blend.json").write_text('{"weight": 0.5}')
    released_reranker(rag, ArtifactStore.of(rag.settings).put("rerankers", tmp_path))
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: rag.search("ada", "the tide gauge", k=2), range(6)))
    assert [each.reranker for each in found] == ["lengths"] * 6
    assert len(loaded) == 1


def test_a_reranker_whose_artifact_is_gone_is_done_without(rag: Rag) -> None:
    released_reranker(rag, "rerankers/0000")
    found = rag.search("ada", "the tide gauge", k=2)
    assert found.hits
    assert found.reranker is None
    assert "re-ranker" in (found.note or "")


def test_who_asks_what_there_is_gets_titles_that_lead_to_the_documents(rag: Rag) -> None:
    looked = look(rag, "ada", "What do you write about?")
    answer = settled(rag, "ada", looked, choose("auto", looked.question, use_rag=True, adapter=None, licensed=bool))
    assert answer is not None
    assert (answer.mode, answer.abstained, answer.support) == ("quote", False, 1.0)
    titles = [each.text for each in answer.sentences]
    assert titles
    assert len(set(titles)) == len(titles)
    assert answer.text == "\n".join(f"- {title} [{number}]" for number, title in enumerate(titles, start=1))
    texts = {hit.chunk_id: hit.text for hit in looked.found.hits}
    assert all(each.quote in texts[each.chunk_id] for each in answer.citations)
    assert [each.title for each in answer.citations] == titles


def test_of_an_author_of_nothing_there_is_nothing_to_tell(rag: Rag) -> None:
    looked = look(rag, "bo", "Hello")
    answer = settled(rag, "bo", looked, choose("auto", "Hello", use_rag=True, adapter=None, licensed=bool))
    assert answer is not None
    assert answer.abstained
