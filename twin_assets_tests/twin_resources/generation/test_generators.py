from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from twin_assets_tests.support.tiny_models import BASE, FIRST, SECOND, TinyModels
from twin_resources.generation.generators import (
    EmbeddedGenerator,
    GeneratorError,
    NotLoaded,
    OpenAIGenerator,
    PromptTooLong,
    QueueFull,
)
from twin_resources.rag import prompt

TURNS = prompt.messages("How often?", author="Ada Berg")


@pytest.fixture(scope="session")
def embedded(tiny_models: Callable[[str], TinyModels]) -> Iterator[Callable[..., EmbeddedGenerator]]:
    made: list[EmbeddedGenerator] = []

    def make(family: str = "llama", **options: Any) -> EmbeddedGenerator:
        models = tiny_models(family)
        generator = EmbeddedGenerator("tiny", models.base, render=prompt.render, stop=prompt.STOP, **options)
        made.append(generator)
        return generator

    yield make
    for generator in made:
        generator.close()


@pytest.fixture(scope="session")
def endless(embedded: Callable[..., EmbeddedGenerator], tiny_models: Callable[[str], TinyModels]) -> EmbeddedGenerator:
    """One that writes until it is stopped, with room for two."""
    generator = embedded(queue_size=2, no_repeat=0, repetition_penalty=1.0)
    generator.load("endless", tiny_models("llama").endless)
    return generator


def say(generator: Any, version: str | None = None, **changes: Any) -> str:
    options = {"version": version, "max_tokens": 40, "temperature": 0.0, "seed": None, **changes}
    return generator.stream(TURNS, **options).finish().text


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_adapters_are_switched_without_a_restart(
    embedded: Callable[..., EmbeddedGenerator], tiny_models: Callable[[str], TinyModels], family: str
) -> None:
    generator, models = embedded(family), tiny_models(family)
    assert say(generator) == BASE
    generator.load("ada-1", models.first)
    generator.load("ada-2", models.second)
    generator.load("ada-2", models.second)
    assert [say(generator, version) for version in ("ada-1", "ada-2", None, "ada-1")] == [FIRST, SECOND, BASE, FIRST]
    generator.unload("ada-1")
    assert generator.loaded() == {"ada-2"}
    assert [say(generator, version) for version in ("ada-2", None)] == [SECOND, BASE]
    with pytest.raises(NotLoaded, match="ada-1 is not loaded; loaded are: ada-2"):
        say(generator, "ada-1")
    generator.unload("ada-2")
    assert say(generator) == BASE
    generator.load("ada-1", models.first)
    assert say(generator, "ada-1") == FIRST


def test_usage_counts_what_was_read_and_written(embedded: Callable[..., EmbeddedGenerator]) -> None:
    stream = embedded().stream(TURNS, version=None, max_tokens=4, temperature=0, seed=None)
    pieces = list(stream)
    assert stream.usage is not None
    assert (stream.usage.text, stream.usage.completion_tokens) == ("".join(pieces), 4)
    assert BASE.startswith(stream.usage.text)
    assert (stream.usage.finish_reason, stream.usage.prompt_tokens > 20) == ("length", True)


def test_the_same_seed_samples_the_same_text(embedded: Callable[..., EmbeddedGenerator]) -> None:
    generator = embedded()
    texts = [say(generator, temperature=8.0, seed=seed) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_an_answer_ends_before_a_stop_string(embedded: Callable[..., EmbeddedGenerator]) -> None:
    stream = embedded().stream(TURNS, version=None, max_tokens=40, temperature=0, seed=None, stop=["writes one"])
    assert "".join(stream) == "The tide gauge at Skarvik "
    assert stream.usage is not None
    assert stream.usage.finish_reason == "stop"


def test_a_loop_is_broken(
    embedded: Callable[..., EmbeddedGenerator], tiny_models: Callable[[str], TinyModels], endless: EmbeddedGenerator
) -> None:
    guarded = embedded()
    guarded.load("endless", tiny_models("llama").endless)
    looping = say(endless, "endless", max_tokens=40)
    assert set(looping.split()) == {"round", "and"}
    assert set(say(guarded, "endless", max_tokens=40).split()) > {"round", "and"}


def test_the_queue_is_bounded_and_cancelling_makes_room(endless: EmbeddedGenerator) -> None:
    options: dict[str, Any] = {"version": "endless", "max_tokens": 5000, "temperature": 0, "seed": None}
    running = endless.stream(TURNS, **options)
    assert next(running) == "round"
    waiting = endless.stream(TURNS, **options)
    with pytest.raises(QueueFull) as full:
        endless.stream(TURNS, **options)
    assert full.value.retry_after > 0
    waiting.cancel()
    assert waiting.finish().finish_reason == "cancelled"
    assert endless.waiting() == 1
    running.cancel()
    usage = running.finish()
    assert (usage.finish_reason, usage.completion_tokens < 5000) == ("cancelled", True)
    assert say(endless) == BASE


def test_a_prompt_over_the_context_is_refused(embedded: Callable[..., EmbeddedGenerator]) -> None:
    long = prompt.messages("word " * 9000)
    with pytest.raises(PromptTooLong, match="8192 at most"):
        embedded().stream(long, version=None, max_tokens=1, temperature=0, seed=None).finish()


def test_what_is_no_adapter_is_said_so(embedded: Callable[..., EmbeddedGenerator], tmp_path: Path) -> None:
    generator = embedded()
    with pytest.raises(GeneratorError, match=r"adapter ada-x in .* does not load over tiny"):
        generator.load("ada-x", tmp_path)
    assert say(generator) == BASE


class Sglang:
    """A server that behaves as SGLang 0.5 does over HTTP, down to answering a bare adapter name with the base."""

    def __init__(self) -> None:
        self.adapters: dict[str, str] = {}
        self.asked: list[dict[str, Any]] = []
        self.busy = False
        self.broken_off = threading.Event()
        routes = [
            Route("/v1/models", self.models),
            Route("/health_generate", self.health),
            Route("/load_lora_adapter", self.load, methods=["POST"]),
            Route("/unload_lora_adapter", self.unload, methods=["POST"]),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
        ]
        self.app = Starlette(routes=routes)

    async def models(self, request: Request) -> Response:
        return JSONResponse({"data": [{"id": "served"}]})

    async def health(self, request: Request) -> Response:
        return Response(status_code=503 if self.busy else 200)

    async def load(self, request: Request) -> Response:
        body = await request.json()
        if not Path(body["lora_path"]).exists():
            return JSONResponse({"success": False, "error_message": "no such path"}, 400)
        self.adapters[body["lora_name"]] = body["lora_path"]
        return JSONResponse({"success": True})

    async def unload(self, request: Request) -> Response:
        self.adapters.pop((await request.json())["lora_name"])
        return JSONResponse({"success": True})

    async def chat(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append({**body, "key": request.headers.get("authorization")})
        if self.busy:
            return JSONResponse({"object": "error", "message": "queue is full"}, 503)
        adapter = body["model"].partition(":")[2]
        if adapter and adapter not in self.adapters:
            return JSONResponse({"error": {"message": f"lora {adapter} is not loaded"}}, 400)
        speaker = adapter or "base"

        async def events() -> AsyncIterator[str]:
            import anyio

            try:
                for word in ["I ", "am ", speaker]:
                    yield f"data: {json.dumps({'choices': [{'delta': {'content': word}}]})}\n\n"
                while body["max_tokens"] == 999:
                    await anyio.sleep(0.01)
                    yield 'data: {"choices": [{"delta": {"content": "!"}}]}\n\n'
            except BaseException:
                self.broken_off.set()
                raise
            yield 'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
            yield 'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}\n\n'
            yield "data: [DONE]\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")


@pytest.fixture
def sglang() -> Iterator[tuple[Sglang, OpenAIGenerator]]:
    double = Sglang()
    server = uvicorn.Server(uvicorn.Config(double.app, port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    generator = OpenAIGenerator("tiny", f"http://127.0.0.1:{port}/v1", key="secret", stop=prompt.STOP)
    yield double, generator
    generator.close()
    server.should_exit = True
    thread.join(timeout=10)


def test_an_adapter_is_asked_for_with_the_served_name(sglang: tuple[Sglang, OpenAIGenerator], tmp_path: Path) -> None:
    double, generator = sglang
    generator.load("ada-1", tmp_path)
    assert (double.adapters, generator.loaded()) == ({"ada-1": str(tmp_path)}, {"ada-1"})
    answer = generator.stream(TURNS, version="ada-1", max_tokens=9, temperature=0.5, seed=3).finish()
    assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == ("I am ada-1", 7, 3)
    assert say(generator) == "I am base"
    assert [asked["model"] for asked in double.asked] == ["served:ada-1", "served"]
    assert double.asked[0]["seed"] == 3
    assert double.asked[0]["key"] == "Bearer secret"
    assert double.asked[0]["stop"] == list(prompt.STOP)
    generator.unload("ada-1")
    assert double.adapters == {}


def test_a_restarted_server_has_lost_its_adapters(sglang: tuple[Sglang, OpenAIGenerator], tmp_path: Path) -> None:
    double, generator = sglang
    generator.load("ada-1", tmp_path)
    double.adapters.clear()
    with pytest.raises(NotLoaded, match="has lost adapter ada-1"):
        say(generator, "ada-1")
    assert generator.loaded() == set()


def test_a_server_that_refuses_says_why(sglang: tuple[Sglang, OpenAIGenerator], tmp_path: Path) -> None:
    double, generator = sglang
    assert generator.unready() is None
    with pytest.raises(GeneratorError, match=r"no such path.*--enable-lora"):
        generator.load("ada-1", tmp_path / "nowhere")
    double.busy = True
    assert "503" in (generator.unready() or "")
    with pytest.raises(QueueFull, match="queue is full"):
        say(generator)
    gone = OpenAIGenerator("tiny", "http://127.0.0.1:9")
    assert "cannot be reached" in (gone.unready() or "")
    gone.close()


def test_cancelling_closes_the_connection(sglang: tuple[Sglang, OpenAIGenerator]) -> None:
    double, generator = sglang
    stream = generator.stream(TURNS, version=None, max_tokens=999, temperature=0, seed=None)
    assert next(stream) == "I "
    assert generator.waiting() == 1
    stream.cancel()
    assert stream.finish().finish_reason == "cancelled"
    assert double.broken_off.wait(10)
    assert generator.waiting() == 0
