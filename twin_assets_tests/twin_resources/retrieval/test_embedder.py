"""The embedder on the packaged model."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
import time
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import Any

import numpy as np
import psutil
import pytest

from twin_assets_tests.support.site import wait_for
from twin_resources.config.settings import Settings
from twin_resources.models import precision
from twin_resources.retrieval.embedder import TOGETHER, Embedder, stop_pool

TEXTS = ["The tide turns at six.", "A ferry keeps crossing.", "Sourdough wants patience.", "Seven coats of varnish."]
ALIKE = 0.997
"""Cosine of the same text embedded as a question and as a passage; questions may be embedded in half precision."""


def test_several_devices_give_the_same_vectors_in_the_same_order(embedder: Embedder) -> None:
    alone = embedder.encode(TEXTS)
    with embedder.spread(["cpu", "cpu"]):
        together = embedder.encode(TEXTS)
    assert together.shape == (4, embedder.dimensions)
    assert together.dtype == np.float32
    assert np.allclose(alone, together, atol=1e-5)
    assert np.allclose(embedder.encode(TEXTS), alone, atol=1e-6), "it works alone again"


def _deaf(ready: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ready.set()
    time.sleep(600)


def test_a_process_that_does_not_heed_its_signal_is_ended_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin_resources.retrieval.embedder._ENDING_SECONDS", 0.2)
    start = multiprocessing.get_context("fork")
    ready = start.Event()
    process = start.Process(target=_deaf, args=(ready,))
    with warnings.catch_warnings():  # a new Python warns of forks beside threads; this one only sleeps
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    assert ready.wait(20)
    number = process.pid
    assert number
    stop_pool({"processes": [process], "input": start.Queue(), "output": start.Queue()})
    assert not psutil.pid_exists(number)


def test_one_device_starts_no_other_process(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedder.model, "start_multi_process_pool", pytest.fail)
    with embedder.spread(["cpu"]):
        assert len(embedder.encode(TEXTS)) == 4


def test_what_a_library_says_while_it_is_imported_is_not_shown(
    embedder: Embedder, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("bitsandbytes.backends.cpu.ops").warning("there are kernels for CPUs")
    assert caplog.records == []


def test_a_model_with_prompts_gets_them(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedder, "_traced", None)
    models = embedder.model, embedder._asking
    for model in models:
        monkeypatch.setattr(model, "prompts", {"query": "query: ", "document": "passage: "})
    asked, stored = embedder.encode_questions(["tides"])[0], embedder.encode(["tides"])[0]
    for model in models:
        monkeypatch.setattr(model, "prompts", {})
    assert np.allclose(asked, embedder.encode_questions(["query: tides"])[0], atol=1e-5)
    assert np.allclose(stored, embedder.encode(["passage: tides"])[0], atol=1e-5)


@pytest.fixture
def batches(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The questions that the model embeds from now on, batch by batch; none is known before."""
    embedded: list[list[str]] = []
    embed = embedder._embed

    def watched(texts: list[str]) -> Any:
        embedded.append(texts)
        return embed(texts)

    monkeypatch.setattr(embedder, "_embed", watched)
    monkeypatch.setattr(embedder, "_asked", {})
    return embedded


def test_a_question_is_embedded_once(
    embedder: Embedder, batches: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twin_resources.retrieval.embedder.REMEMBERED", 3)
    first = embedder.encode_questions(TEXTS[:3])
    again = embedder.encode_questions([TEXTS[1], TEXTS[0], TEXTS[1]])
    assert list(chain(*batches)) == TEXTS[:3]
    assert np.array_equal(again, first[[1, 0, 1]])
    both = embedder.encode_questions([TEXTS[3], TEXTS[0]])
    assert list(chain(*batches)) == TEXTS
    assert both[0] @ embedder.encode([TEXTS[3]])[0] > ALIKE
    embedder.encode_questions([TEXTS[2]])
    assert list(chain(*batches)) == [*TEXTS, TEXTS[2]], "the one asked longest ago is no longer kept"
    assert embedder.encode_questions([]).shape == (0, embedder.dimensions)


def test_questions_that_come_while_the_model_works_are_embedded_together(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = [f"What was written in the log on day {number}?" for number in range(12)]
    alone = [embedder.encode([question])[0] for question in questions]
    batches: list[list[str]] = []
    works, go_on = threading.Event(), threading.Event()
    embed = embedder._embed

    def slow(texts: list[str]) -> Any:
        batches.append(texts)
        works.set()
        assert go_on.wait(30)
        if "fails" in texts:
            raise RuntimeError("out of memory")
        return embed(texts)

    monkeypatch.setattr(embedder, "_embed", slow)

    def ask(texts: list[str]) -> list[Future[Any]]:
        """One call a text, all of them waiting behind the first."""
        first = pool.submit(embedder.encode_questions, texts[:1])
        assert works.wait(30)
        rest = [pool.submit(embedder.encode_questions, [text]) for text in texts[1:]]
        wait_for(lambda: len(embedder._waiting) == len(rest))
        go_on.set()
        return [first, *rest]

    with ThreadPoolExecutor(len(questions)) as pool:
        found = [future.result(30)[0] for future in ask(questions)]
        assert [len(batch) for batch in batches] == [1, len(questions) - 1]
        assert np.min((np.stack(found) * np.stack(alone)).sum(1)) > ALIKE, "each got its own"
        works.clear()
        go_on.clear()
        failed = ask(["And then?", "fails", "And why?"])
        assert failed[0].result(30).shape == (1, embedder.dimensions)
        for future in failed[1:]:
            with pytest.raises(RuntimeError, match="out of memory"):
                future.result(30)
        assert embedder.encode_questions(["And why?"])[0] @ embedder.encode(["And why?"])[0] > ALIKE


@pytest.mark.parametrize("quick", [True, False])
def test_questions_alone_are_embedded_in_bfloat16_and_only_where_that_is_quick(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    monkeypatch.setattr(precision, "quickly", lambda: quick)
    made = Embedder.of(Settings())
    assert (made._asking is made.model) is not quick
    assert np.allclose(made.encode(TEXTS), embedder.encode(TEXTS), atol=1e-5)
    asked = made.encode_questions(TEXTS)
    assert asked.dtype == np.float32
    assert np.linalg.norm(asked, axis=1) == pytest.approx(1, abs=1e-5)
    apart = 1 - (asked * made.encode(TEXTS)).sum(1).min()
    assert bool(1e-6 < apart < 1 - ALIKE) is quick


def test_a_foreseen_question_is_embedded_with_the_next_that_is_asked(
    embedder: Embedder, batches: list[list[str]]
) -> None:
    questions = [f"Who kept the light in the year {1800 + number}?" for number in range(TOGETHER + 3)]
    for question in questions[1:]:
        embedder.foresee(question)
    first = embedder.encode_questions(questions[:1])[0]
    assert batches == [questions[:TOGETHER]]
    foreseen = embedder.encode_questions(questions[1:3])
    assert len(batches) == 1
    assert np.min((np.stack([first, *foreseen]) * embedder.encode(questions[:3])).sum(1)) > ALIKE
    embedder.encode_questions(questions[TOGETHER:])
    embedder.encode_questions(["Which of them?"])
    assert batches[1:] == [questions[TOGETHER:], ["Which of them?"]]


def test_texts_are_padded_to_few_lengths(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library keeps what it compiled for each shape, so memory would grow with every new one."""
    monkeypatch.setattr(embedder, "_traced", None)
    lengths: set[int] = set()

    def watched(_: Any, given: tuple[dict[str, Any]]) -> None:
        lengths.add(given[0]["input_ids"].shape[1])

    hooks = [model[0].register_forward_pre_hook(watched) for model in {embedder.model, embedder._asking}]
    try:
        for words in range(1, 30):
            embedder.encode_questions(["sea " * words])
            embedder.encode(["sea " * words])
    finally:
        for hook in hooks:
            hook.remove()
    assert lengths == {8, 16, 24, 32}
