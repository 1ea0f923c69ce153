"""Readers who leave, and engines that are full."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest
import sqlalchemy as sa

from twin_assets_tests.support.site import Api, add_adapter, running, wait_for
from twin_assets_tests.support.tiny_models import BASE, TinyModels
from twin_resources.config.settings import Settings
from twin_resources.database.schema import interaction
from twin_resources.generation.base import Generator
from twin_resources.generation.decoding import Sampling
from twin_resources.generation.embedded import EmbeddedGenerator
from twin_resources.rag import prompt
from twin_resources.runtime.places import Places
from twin_serving.answering.errors import NotReady


@pytest.fixture(scope="module")
def slow(
    new_settings: Callable[..., Settings], seed: Callable[[Settings], sa.Engine], tiny: TinyModels
) -> Iterator[Api]:
    """An application with room for one answer, and an adapter that never ends one."""
    settings = new_settings(models={"base": str(tiny.base), "reranker": None})
    database = seed(settings)
    add_adapter(settings, database, "ada-endless", tiny.endless)

    def make(settings: Settings) -> Generator:
        return EmbeddedGenerator(
            settings.models.base,
            tiny.base,
            render=prompt.render,
            stop=prompt.STOP,
            queue_size=1,
            sampling=Sampling(no_repeat=0, repetition_penalty=1.0),
        )

    with running(settings, database, make=make) as found:
        yield found


ENDLESS = {"query": "Go on", "author": "ada", "model": "ada-endless", "max_tokens": 2048, "use_rag": False}


def last_error(api: Api) -> str | None:
    with api.database.connect() as session:
        return session.scalar(sa.select(interaction.c.error).order_by(interaction.c.at.desc()).limit(1))


@pytest.mark.parametrize("stream", [True, False])
def test_a_reader_who_leaves_ends_the_writing(slow: Api, stream: bool) -> None:
    with slow.client() as client:
        if stream:
            with client.stream("POST", "/ask", json={**ENDLESS, "stream": True}) as response:
                assert next(response.iter_lines()) == "event: token"
        else:
            with pytest.raises(httpx.ReadTimeout):
                client.post("/ask", json=ENDLESS, timeout=1)
        start = time.monotonic()
        wait_for(lambda: slow.app.state.services.engine.waiting() == 0)
        assert time.monotonic() - start < 10
        wait_for(lambda: last_error(slow) == ("the client went away" if stream else "the answer was cancelled"))
        answer = client.post("/ask", json={**ENDLESS, "model": "base"}).json()["answer"]
        assert answer == BASE


def test_a_full_queue_says_when_to_come_back(slow: Api) -> None:
    with slow.client() as client, slow.client() as other:
        with client.stream("POST", "/ask", json={**ENDLESS, "stream": True}) as response:
            lines = response.iter_lines()
            next(lines)
            refused = other.post("/ask", json=ENDLESS)
            assert refused.status_code == 429
            assert refused.json()["type"] == "urn:llm-twin:problem:queue-full"
            assert int(refused.headers["retry-after"]) > 0
            with (
                openai.OpenAI(base_url=f"{slow.url}/v1", api_key="x", max_retries=0) as official,
                pytest.raises(openai.RateLimitError, match="answers are waiting"),
            ):
                official.chat.completions.create(
                    model="twin/ada@base",
                    messages=[{"role": "user", "content": "x"}],
                    extra_body={"mode": "write"},
                )
        wait_for(lambda: slow.app.state.services.engine.waiting() == 0)


def test_stopping_the_server_ends_a_running_answer(slow: Api) -> None:
    engine = slow.app.state.services.engine
    answer = engine.stream(prompt.messages("Go on"), version="ada-endless", max_tokens=8000, temperature=0)
    next(answer)
    thread = threading.Thread(target=answer.cancel)
    thread.start()
    thread.join(timeout=5)
    wait_for(lambda: engine.waiting() == 0)


@pytest.mark.parametrize("path", ["/search", "/ask"])
def test_who_finds_as_many_waiting_as_may_wait_is_told_when_to_come_back(
    slow: Api, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow.app.state.services, "searches", Places("full", running=1, waiting=0))
    begun, may_end = threading.Event(), threading.Event()

    def search(*_: object, **__: object) -> None:
        begun.set()
        assert may_end.wait(60)
        raise NotReady("the search of this test", "it only takes a place")

    monkeypatch.setattr(slow.app.state.services.rag, "search", search)
    question = {"query": "Why does the tide turn?", "author": "ada"}
    with slow.client() as client, slow.client() as other, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, path, json=question)
        assert begun.wait(60)
        refused = other.post(path, json=question)
        may_end.set()
        assert refused.status_code == 429
        assert refused.json()["type"] == "urn:llm-twin:problem:queue-full"
        assert int(refused.headers["retry-after"]) > 0
        assert first.result(60).status_code == 503
