"""Questions in another language are put into the author's words."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from twin_resources.models.word_vectors import WordVectors
from twin_resources.retrieval.glossary import Glossary
from twin_resources.retrieval.vectors import VectorIndex

ALIKE = (
    ("tide", "Gezeiten", "marée"),
    ("table", "Tabelle", "Tisch"),
    ("door", "Tür"),
    ("wrong", "falsch"),
    ("why", "Warum"),
    ("bread", "Brot"),
    ("kitchen", "Küche"),
)
WORDS = {"tide": 1, "table": 1, "door": 1, "wrong": 1, "bread": 1, "kitchen": 1, "varnish": 1}


class Near(WordVectors):
    """Vectors in which the words of a row of :data:`ALIKE` lie near each other, and all others far from everything."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._random = np.random.default_rng(3)
        self._rows = {word.lower(): row for row, words in enumerate(ALIKE) for word in words}
        self._places = self._random.normal(size=(len(ALIKE), 512))

    def unit(self, words: Sequence[str]) -> np.ndarray:
        self.asked += words
        noise = self._random.normal(size=(len(words), 512))
        near = [
            self._places[self._rows[word.lower()]] if word.lower() in self._rows else np.zeros(512) for word in words
        ]
        vectors = np.array(near).reshape(-1, 512) + 0.3 * noise
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def glossary(index: VectorIndex) -> Glossary:
    return Glossary(index.engine, lambda author: WORDS if author == "ada" else {}, Near)


@pytest.mark.parametrize(
    ("question", "language", "said"),
    [
        ("Warum ist die Tabelle an der Tür falsch?", "de", "why table door wrong?"),
        ("Die Gezeiten von Skarvik und GPT-3", "de", "tide Skarvik GPT-3"),
        ("Gezeitentabelle", "de", "tide table"),
        ("la table de Marée", "fr", "table Marée"),
        ("Die Tabelle von llama.cpp", "de", "table llama.cpp"),
        ("le varnisch de la marée", "fr", "varnish tide"),
    ],
)
def test_a_question_is_said_in_the_authors_words(glossary: Glossary, question: str, language: str, said: str) -> None:
    assert glossary.put("ada", question, language) == said


def test_a_noun_that_the_author_has_a_word_for_is_no_unknown_name(glossary: Glossary) -> None:
    asked = ["Tabelle", "Gezeitentabelle", "Mongolei", "Küche"]
    assert glossary.unsaid("ada", asked) == ["Mongolei"]
    assert glossary.unsaid("bo", asked) == asked, "who has written nothing has no word for anything"


def test_without_words_or_without_vectors_a_question_stays(index: VectorIndex, glossary: Glossary) -> None:
    question = "Warum ist die Tabelle falsch?"
    assert glossary.put("bo", question, "de") == question

    def gone() -> WordVectors:
        raise ValueError("no such model")

    assert Glossary(index.engine, lambda _: WORDS, gone).put("ada", question, "de") == question


def test_a_question_does_not_wait_for_vectors_that_are_still_being_made(index: VectorIndex) -> None:
    loaded = threading.Event()

    def vectors() -> WordVectors:
        assert loaded.wait(60)
        return Near()

    question = "Warum ist die Tabelle falsch?"
    glossary = Glossary(index.engine, lambda _: WORDS, vectors, patience=0.01)
    assert glossary.put("ada", question, "de") == question
    loaded.set()
    patient = time.monotonic() + 60
    while (said := glossary.put("ada", question, "de")) == question and time.monotonic() < patient:
        pass
    assert said == "why table wrong?"


def test_words_that_an_author_newly_uses_are_found_and_the_others_not_embedded_again(index: VectorIndex) -> None:
    words: Mapping[str, int] = {"table": 1, "door": 1}
    encoder = Near()
    glossary = Glossary(index.engine, lambda _: words, lambda: encoder)
    assert glossary.put("ada", "Tabelle Brot", "de") == "table Brot"
    encoder.asked.clear()
    words = {"table": 2, "bread": 1}
    assert glossary.put("ada", "Tabelle Brot Tür", "de") == "table bread Tür"
    assert "bread" in encoder.asked
    assert "table" not in encoder.asked


def test_a_question_without_spaces_is_asked_by_the_words_nearest_to_the_whole_of_it(index: VectorIndex) -> None:
    words = {"checks": 3, "check": 2, "fails": 2, "harbour": 9, "bread": 4, "engine": 1}
    glossary = Glossary(index.engine, lambda _: words, WordVectors)
    said = glossary.put("ada", "为什么LoRA检查必须能够失败？", "zh").split()
    assert said[0] == "LoRA"
    assert {"fails"} <= set(said) <= {"LoRA", "fails", "check", "checks"}
    assert len({word[:4] for word in said}) == len(said), "one of check and checks"


def test_a_word_lies_nearest_to_its_translation() -> None:
    english = ["database", "reward", "graphics", "publish", "clean", "tide", "kitchen"]
    pairs = {
        "Datenbanken": "database",
        "récompense": "reward",
        "Grafikkarte": "graphics",
        "Veröffentlichung": "publish",
        "nettoyage": "clean",
        "mareas": "tide",
        "keuken": "kitchen",
    }
    encoder = WordVectors()
    near = encoder.unit(list(pairs)) @ encoder.unit(english).T
    assert [english[row.argmax()] for row in near] == list(pairs.values())
    assert encoder.unit([]).shape == (0, 512)
