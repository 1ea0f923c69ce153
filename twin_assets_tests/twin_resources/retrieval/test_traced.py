"""Questions through one graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from torch.jit._trace import is_tracing

from twin_resources.config.settings import Settings
from twin_resources.models import precision
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.traced import TracedModel

QUESTIONS = [
    "Why?",
    "Who kept the light in the winter of 1911, when the keeper lay ill and nobody came over from the mainland?",
    "What does varnish need?",
    "And how long does a sourdough rest before it is shaped, in your kitchen?",
    "ferry",
    "When did the ferry stop?",
    "Is it the same for two coats of varnish as for the seven that you wrote about when you restored the dinghy?",
]


@pytest.fixture(scope="module")
def exact() -> Embedder:
    """One that embeds questions in float32, so that its vectors can be compared."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(precision, "quickly", lambda: False)
        return Embedder.of(Settings())


@contextmanager
def broken(model: Any, error: Exception | None) -> Iterator[None]:
    """Meanwhile the model can't be traced, or answers otherwise when it is."""

    def changed(_: Any, __: Any, found: dict[str, Any]) -> Any:
        if is_tracing():
            if error:
                raise error
            found["token_embeddings"] = found["token_embeddings"].flip(-1)
        return found

    hook = model[0].register_forward_hook(changed)
    try:
        yield
    finally:
        hook.remove()


def test_a_prepared_model_says_the_same_of_each_question(exact: Embedder) -> None:
    before = exact.encode_questions(QUESTIONS)
    exact.prepare()
    exact._asked.clear()
    assert exact._traced is not None
    assert exact._traced.traced
    after = exact.encode_questions(QUESTIONS)
    assert after.dtype == np.float32
    assert np.allclose(after, before, atol=1e-5)
    for question, vector in zip(QUESTIONS, before, strict=True):
        assert np.allclose(exact._embed([question])[0], vector, atol=1e-5)


@pytest.mark.parametrize("error", [RuntimeError("data-dependent"), None])
def test_a_model_that_cannot_be_traced_or_differs_then_is_called_as_ever(
    exact: Embedder, error: Exception | None
) -> None:
    with broken(exact.model, error):
        made = TracedModel(exact.model, {"text": {}}, together=2)
    assert not made.traced
    assert np.allclose(made.encode(QUESTIONS), exact.encode_questions(QUESTIONS), atol=1e-5)


def test_a_prompt_for_questions_is_put_before_them(exact: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(exact.model.prompts, "query", "query: ")
    made = TracedModel(exact.model, {"text": {}}, together=2)
    assert made.traced
    assert np.allclose(made.encode(["Why?"]), exact.encode(["query: Why?"]), atol=1e-5)
