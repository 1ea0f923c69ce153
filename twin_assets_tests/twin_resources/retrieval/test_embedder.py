"""The embedder on the packaged model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from twin_resources.retrieval.embedder import Embedder

TEXTS = ["The tide turns at six.", "A ferry keeps crossing.", "Sourdough wants patience.", "Seven coats of varnish."]


def test_several_devices_give_the_same_vectors_in_the_same_order(embedder: Embedder) -> None:
    alone = embedder.encode(TEXTS)
    with embedder.spread(["cpu", "cpu"]):
        together = embedder.encode(TEXTS)
    assert together.shape == (4, embedder.dimensions)
    assert together.dtype == np.float32
    assert np.allclose(alone, together, atol=1e-5)
    assert np.allclose(embedder.encode(TEXTS), alone, atol=1e-6), "it works alone again"


def test_one_device_starts_no_other_process(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedder.model, "start_multi_process_pool", pytest.fail)
    with embedder.spread(["cpu"]):
        assert len(embedder.encode(TEXTS)) == 4


def test_a_model_with_prompts_gets_them(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedder.model, "prompts", {"query": "query: ", "document": "passage: "})
    asked, stored = embedder.encode_questions(["tides"])[0], embedder.encode(["tides"])[0]
    monkeypatch.setattr(embedder.model, "prompts", {})
    assert np.allclose(asked, embedder.encode_questions(["query: tides"])[0], atol=1e-5)
    assert np.allclose(stored, embedder.encode(["passage: tides"])[0], atol=1e-5)


def test_a_question_is_embedded_once(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    encode = embedder.model.encode_query

    def watched(texts: list[str], **options: Any) -> Any:
        asked.extend(texts)
        return encode(texts, **options)

    monkeypatch.setattr(embedder.model, "encode_query", watched)
    monkeypatch.setattr(embedder, "_asked", {})
    monkeypatch.setattr("twin_resources.retrieval.embedder.REMEMBERED", 3)
    first = embedder.encode_questions(TEXTS[:3])
    again = embedder.encode_questions([TEXTS[1], TEXTS[0], TEXTS[1]])
    assert asked == TEXTS[:3]
    assert np.array_equal(again, first[[1, 0, 1]])
    both = embedder.encode_questions([TEXTS[3], TEXTS[0]])
    assert asked == TEXTS
    assert np.allclose(both[0], encode([TEXTS[3]], normalize_embeddings=True)[0], atol=1e-5)
    embedder.encode_questions([TEXTS[2]])
    assert asked == [*TEXTS, TEXTS[2]], "the one asked longest ago is no longer kept"
    assert embedder.encode_questions([]).shape == (0, embedder.dimensions)
