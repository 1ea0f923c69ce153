"""Who asks for the author is answered in the words the author put into profiles."""

from __future__ import annotations

import pytest

from twin_assets.chunk.passages import chunker_id, cut_new
from twin_assets.clean.snapshot import take_snapshot
from twin_assets_tests.support.passages import embed
from twin_resources.config.settings import Settings
from twin_resources.rag.answer import Answer
from twin_resources.rag.pipeline import Rag
from twin_resources.rag.policy import Choice, look, settled
from twin_resources.retrieval.embedder import Embedder, TokenCounter
from twin_resources.retrieval.vectors import VectorIndex
from twin_resources.sources.base import profile_of
from twin_resources.sources.linkedin import LinkedInExport
from twin_resources.storage.warehouse import Warehouse

HEADLINE = "Keeper of gauges. Baker at night."
SUMMARY = "I keep the gauges of four harbours.\n\nBread is what I do when they are quiet."


@pytest.fixture
def rag(index: VectorIndex, settings: Settings, embedder: Embedder) -> Rag:
    warehouse, author = Warehouse(index.engine), settings.author("ada").author
    source = LinkedInExport("/nowhere", author)
    source_id = warehouse.remember_source("ada", source, {}, remembered=True)
    items = [
        profile_of("linkedin", "linkedin:profile", f"{HEADLINE}\n\n{SUMMARY}", name="LinkedIn"),
        profile_of("medium", "https://medium.com/@ada", HEADLINE, name="Medium"),
    ]
    warehouse.collect("ada", source_id, items, origin="linkedin", name="test")
    take_snapshot(warehouse, author, "posts")
    counter = TokenCounter.of(settings)
    cut_new(warehouse.chunks, "ada", "posts", counter, chunker_id(index.model, counter))
    embed(index, "ada", embedder)
    return Rag(settings, index.engine, embedder)


def asked(rag: Rag, question: str, author: str = "ada") -> Answer:
    answer = settled(rag, author, look(rag, author, question), Choice("quote", "test"))
    assert answer is not None
    return answer


def test_who_the_author_is_stands_in_their_profiles(rag: Rag) -> None:
    name = rag.names("ada")[0]
    answer = asked(rag, "Who are you?")
    assert (answer.mode, answer.abstained, answer.support) == ("quote", False, 1.0)
    assert [each.url for each in answer.citations] == ["linkedin:profile"], "the other one says nothing more"
    assert answer.text.startswith(
        "Keeper of gauges. [1] Baker at night. [1]\n\nI keep the gauges of four harbours. [1]"
    )
    for question in ("So, what do you do for a living?", f"Who is {name}?", "Wer bist du?", "hi, who are you"):
        assert asked(rag, question).text == answer.text, question


def test_what_they_say_of_themselves_answers_only_who_asks_for_them(rag: Rag) -> None:
    def found(question: str) -> set[str]:
        return {hit.title for hit in look(rag, "ada", question).found.hits}

    assert "Profile on LinkedIn" in found("How many harbours do you keep gauges of?")
    assert not {title for title in found("What keeps a gauge in a harbour?") if title.startswith("Profile")}


def test_what_is_asked_besides_comes_after(rag: Rag) -> None:
    both = asked(rag, "Who are you, and what do you write about?")
    titles = [each.title for each in both.citations]
    assert titles[0] == "Profile on LinkedIn"
    assert set(titles[1:]) >= {"tides", "bread"}
    assert f"- {titles[1]} [2]" in both.text
    assert "Keeper" not in asked(rag, "What do you write about?").text.splitlines()[0]


def test_without_a_profile_titles_tell_who_somebody_is(rag: Rag) -> None:
    assert rag.profiles("bo") == []
    answer = asked(rag, "Who are you?", "bo")
    assert answer.abstained
