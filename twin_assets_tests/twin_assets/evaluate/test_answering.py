"""How answers are measured, on passages in a real database and with a tiny model that says one sentence."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Generator as Pieces
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from twin_assets.evaluate import answering, pages
from twin_assets.evaluate.questions import Question, elsewhere
from twin_assets_tests.support.tiny_models import FIRST, TinyModels
from twin_resources.config.settings import Settings
from twin_resources.database.schema import chunk
from twin_resources.generation.base import Generation, Stream
from twin_resources.generation.embedded import EmbeddedGenerator
from twin_resources.rag import prompt
from twin_resources.rag.pipeline import Rag
from twin_resources.rag.silence import saying
from twin_resources.retrieval.embedder import Embedder
from twin_resources.storage.reports import Reports
from twin_resources.text.units import units


def quiet(message: str) -> None:
    pass


@pytest.fixture
def rag(settings: Settings, seed: Callable[[Settings], sa.Engine], embedder: Embedder) -> Rag:
    return Rag(settings, seed(settings), embedder)


@pytest.fixture
def known(rag: Rag) -> list[Question]:
    """A question for each sentence of Ada's, which is not masked."""
    with rag.engine.connect() as session:
        rows = session.execute(sa.select(chunk).where(chunk.c.author == "ada", chunk.c.served)).all()
    return [
        Question(f"{row.id}-{unit.start}", "heading", row.text[unit.start : unit.end], row.document_id)
        for row in rows
        for unit in units(row.text)
        if unit.kind == "sentence"
    ]


def test_the_threshold_lies_between_what_the_author_wrote_of_and_what_not(rag: Rag, known: list[Question]) -> None:
    found = answering.calibrate(rag, "ada", [*known * 10, *elsewhere(20)], 0.05, quiet)
    assert sum(score < found["threshold"] for score in found["answerable"]) <= 0.05 * len(found["answerable"])
    assert found["refused_elsewhere"]["share"] >= 0.9
    assert found["refused_elsewhere"]["low"] < found["refused_elsewhere"]["share"]


def test_the_sentence_a_question_was_made_of_may_not_answer_it(rag: Rag, known: list[Question]) -> None:
    plain = known[0]
    masked = Question(plain.id, "reworded", plain.text, plain.document_id, without=plain.text)
    assert answering.looked(rag, "ada", masked).evidence.score < answering.looked(rag, "ada", plain).evidence.score
    kept = answering.looked(rag, "ada", masked)
    texts = {hit.chunk_id: hit.text for hit in kept.found.hits}
    left = [texts[key][unit.start : unit.end] for key, each in kept.sentences.items() for unit in each.units]
    assert left
    assert plain.text not in left


def test_answers_are_counted_by_kind_and_shown_in_full(rag: Rag, known: list[Question]) -> None:
    Reports(rag.engine).add("silence", "ada", "silence", "ada", {"threshold": 0.4}, "")
    asked = answering.ask(rag, "ada", [*known, *elsewhere(12)], quiet)
    kinds = answering.figures(asked)
    assert kinds["heading"]["right_document"]["share"] == 1.0
    assert kinds["heading"]["right_first"]["share"] == 1.0
    assert kinds["heading"]["silent"]["share"] == 0.0
    assert kinds["heading"]["support"]["share"] == 1.0
    assert kinds["elsewhere"]["right_document"] is None
    assert kinds["elsewhere"]["silent"]["share"] >= 0.9
    shown = answering.shown(asked)
    assert len(shown) <= 10
    assert all(each["right"] for each in shown if each["kind"] == "heading")
    assert all(each["answer"] for each in shown)
    assert pages.kind_rows({"kinds": kinds})[0]["right document"].startswith("100% (")


def test_the_words_of_readers_are_measured_and_not_kept(rag: Rag, known: list[Question]) -> None:
    Reports(rag.engine).add("silence", "ada", "silence", "ada", {"threshold": 0.4}, "")
    asked = answering.ask(rag, "ada", [replace(each, kind="rated") for each in known], quiet)
    assert answering.figures(asked)["rated"]["right_document"]["share"] == 1.0
    assert answering.shown(asked) == []


def test_a_silent_twin_is_measured_as_silent(rag: Rag, known: list[Question]) -> None:
    Reports(rag.engine).add("silence", "ada", "silence", "ada", {"threshold": 2.0}, "")
    kinds = answering.figures(answering.ask(rag, "ada", known, quiet))
    assert kinds["heading"]["silent"]["share"] == 1.0
    assert kinds["heading"]["right_document"]["share"] == 0.0


@pytest.mark.parametrize(("adapter", "supported"), [("endless", 0), ("first", 2)])
def test_only_a_model_that_says_what_the_passages_say_has_support(
    rag: Rag, known: list[Question], tiny: TinyModels, adapter: str, supported: int
) -> None:
    """The first adapter says a sentence of Ada's whatever it is asked; the endless one says nothing."""
    asked = [each for each in known if "Strike it through" in each.text] * 2
    generator = EmbeddedGenerator("tiny", tiny.base, render=prompt.render, stop=prompt.STOP)
    generator.load("ada-1", getattr(tiny, adapter))
    try:
        found = answering.generated(rag, "ada", "Ada Berg", generator, answering.arms("ada-1"), asked, quiet)
    finally:
        generator.close()
    judged = found[answering.JUDGED]
    assert (judged["answered"], judged["supported"], judged["questions"]) == (supported, supported, 2)
    held, why = answering.licence(judged, 0.8)
    assert not held
    assert ("2 of 2 sentences" if supported else "it answered 0 of 2 questions") in why


class Silent:
    """A generator that has learned to say nothing but that."""

    def stream(self, *_: Any, **__: Any) -> Stream:
        def pieces() -> Pieces[str, None, Generation]:
            yield saying("en")
            return Generation(saying("en"), 1, 1, "stop")

        return Stream(pieces(), lambda: None)


class AnswersSome(Silent):
    """A generator that says a sentence of the passages to the first questions, and nothing to the others."""

    def __init__(self, answered: int, sentence: str) -> None:
        self._left, self._sentence = answered, sentence

    def stream(self, *_: Any, **__: Any) -> Stream:
        text = self._sentence if self._left > 0 else saying("en")
        self._left -= 1

        def pieces() -> Pieces[str, None, Generation]:
            yield text
            return Generation(text, 1, 1, "stop")

        return Stream(pieces(), lambda: None)


BOTH = {"base": answering.Arm(None, passages=False), "base + passages": answering.Arm(None, passages=True)}


def test_saying_that_nothing_was_written_counts_neither_for_a_model_nor_against_it(
    rag: Rag, known: list[Question]
) -> None:
    silent: Any = Silent()
    found = answering.generated(rag, "ada", "Ada Berg", silent, BOTH, known[:3], quiet)
    assert [each["sentences"] for each in found.values()] == [0, 0]
    assert not answering.licence(found["base + passages"], 0.9)[0]


@pytest.mark.parametrize(("answered", "asked"), [(0, 4), (1, 4), (2, 8), (6, 8)])
def test_what_cannot_earn_a_licence_any_more_is_asked_nothing_else(
    rag: Rag, known: list[Question], answered: int, asked: int
) -> None:
    """Six of eight questions have to be answered; after three that were not, they cannot be."""
    some: Any = AnswersSome(answered, FIRST)
    (about,) = (each for each in known if "Strike it through" in each.text)
    questions = [replace(about, id=f"{number}") for number in range(8)]
    found = answering.generated(rag, "ada", "Ada Berg", some, answering.arms("ada-1"), questions, quiet)
    mine = found[answering.JUDGED]
    assert (mine["answered"], mine["questions"], mine["planned"]) == (answered, asked, 8)
    licensed, because = answering.licence(mine, 0.1)
    assert licensed is (answered == 6)
    if asked < 8:
        assert because.startswith(f"it answered {answered} of 4 questions; 75% are asked for of 8")
        assert "the other 4" in because
    [row] = pages.arm_rows({"arms": found})
    assert (row["questions"], row["answered"]) == (f"{asked} of 8", answered)


@pytest.mark.parametrize(
    ("supported", "sentences", "answered", "held"),
    [
        (17, 17, 8, True),
        (12, 12, 8, False),
        (38, 40, 8, True),
        (34, 40, 8, False),
        (20, 20, 6, True),
        (20, 20, 5, False),
    ],
)
def test_a_licence_asks_for_certainty_and_for_answers(
    supported: int, sentences: int, answered: int, held: bool
) -> None:
    """A share of few sentences may be chance, and a model that answers little gains nothing by having support."""
    measured = {"sentences": sentences, "supported": supported, "answered": answered, "questions": 8, "planned": 8}
    outcome = [number < supported for number in range(sentences)]
    assert answering.licence({**measured, "support": answering.share(outcome)}, 0.8)[0] is held


class Parrot(Silent):
    """A generator that says a question again, which has support wherever the passages speak of it."""

    def stream(self, turns: Any, **_: Any) -> Stream:
        text = turns[-1]["content"].rstrip("?") + "."

        def pieces() -> Pieces[str, None, Generation]:
            yield text
            return Generation(text, 1, 1, "stop")

        return Stream(pieces(), lambda: None)


def test_saying_the_question_again_is_no_answer(rag: Rag, known: list[Question]) -> None:
    parrot: Any = Parrot()
    found = answering.generated(rag, "ada", "Ada Berg", parrot, BOTH, known[:3], quiet)["base"]
    assert (found["sentences"], found["answered"], found["questions"]) == (0, 0, 3)
