"""Questions in another language are put into the author's words."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from twin_resources.models.token_vectors import TokenVectors
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


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder in whose input embeddings the words of a row of :data:`ALIKE` lie near each other."""
    words = [word for row in ALIKE for word in row]
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, **{word: n for n, word in enumerate(words, 1)}}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    random = np.random.default_rng(3)
    places = [random.normal(size=64) for _ in ALIKE]
    rows = [random.normal(size=64) * 0.01]
    rows += [place + random.normal(size=64) * 0.3 for place, row in zip(places, ALIKE, strict=True) for _ in row]
    weights = torch.tensor(np.array(rows), dtype=torch.bfloat16)
    save_file({"model.embed_tokens.weight": weights}, tmp_path / "model.safetensors")
    return tmp_path


@pytest.fixture
def glossary(index: VectorIndex, model: Path) -> Glossary:
    return Glossary(index.engine, lambda author: WORDS if author == "ada" else {}, lambda: TokenVectors(model))


@pytest.mark.parametrize(
    ("question", "language", "said"),
    [
        ("Warum ist die Tabelle an der Tür falsch?", "de", "why table door wrong?"),
        ("Die Gezeiten von Skarvik und GPT-3", "de", "tide Skarvik GPT-3"),
        ("Gezeitentabelle", "de", "tide table"),
        ("le varnisch de la marée", "fr", "varnish tide"),
    ],
)
def test_a_question_is_said_in_the_authors_words(glossary: Glossary, question: str, language: str, said: str) -> None:
    assert glossary.put("ada", question, language) == said


def test_without_words_or_without_vectors_a_question_stays(index: VectorIndex, glossary: Glossary) -> None:
    question = "Warum ist die Tabelle falsch?"
    assert glossary.put("bo", question, "de") == question

    def gone() -> TokenVectors:
        raise ValueError("no such model")

    assert Glossary(index.engine, lambda _: WORDS, gone).put("ada", question, "de") == question


def test_a_question_does_not_wait_for_a_model_that_is_still_being_unpacked(index: VectorIndex, model: Path) -> None:
    unpacked, read = threading.Event(), threading.Event()

    def vectors() -> TokenVectors:
        assert unpacked.wait(60)
        try:
            return TokenVectors(model)
        finally:
            read.set()

    question = "Warum ist die Tabelle falsch?"
    glossary = Glossary(index.engine, lambda _: WORDS, vectors, patience=0.01)
    assert glossary.put("ada", question, "de") == question
    unpacked.set()
    assert read.wait(60)
    patient = time.monotonic() + 60
    while (said := glossary.put("ada", question, "de")) == question and time.monotonic() < patient:
        pass
    assert said == "why table wrong?"


def test_a_folder_without_embeddings_is_said_so(tmp_path: Path, model: Path) -> None:
    (model / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="no safetensors file with the input embeddings"):
        TokenVectors(model)
