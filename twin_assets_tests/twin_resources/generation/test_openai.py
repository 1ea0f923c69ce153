from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from twin_resources.generation.base import AsyncStream, Generation, GeneratorError, NotLoaded, QueueFull
from twin_resources.generation.openai import OpenAIGenerator
from twin_resources.rag import prompt

pytestmark = pytest.mark.anyio
TURNS = prompt.messages("How often?", author="Ada Berg")


def say(generator: Any, version: str | None = None, **changes: Any) -> str:
    options = {"version": version, "max_tokens": 40, "temperature": 0.0, "seed": None, **changes}
    return generator.stream(TURNS, **options).finish().text


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
                if body["max_tokens"] == 666:
                    yield 'data: {"error": {"message": "no memory"}}\n\n'
                    return
                if body["max_tokens"] == 333:
                    raise RuntimeError("the server dies")
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
def anyio_backend() -> str:
    return "asyncio"


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


@pytest.fixture
async def server(sglang: tuple[Sglang, OpenAIGenerator]) -> AsyncIterator[tuple[Sglang, OpenAIGenerator]]:
    """The same, whose connections close before the event loop of the test ends."""
    yield sglang
    await asyncio.to_thread(sglang[1].close)


OPTIONS: dict[str, Any] = {"version": None, "max_tokens": 40, "temperature": 0.0, "seed": None}


async def asked(generator: OpenAIGenerator, **changes: Any) -> AsyncStream:
    return await generator.astream(TURNS, **{**OPTIONS, **changes})


async def until_error(stream: AsyncStream) -> tuple[str, str]:
    """What a reader gets of an answer that fails, and what is said of it."""
    text = ""
    try:
        async for piece in stream:
            text += piece
    except GeneratorError as error:
        return text, str(error)
    raise AssertionError(f"it did not fail, and said {text!r}")


async def test_an_event_loop_reads_many_answers_at_once(server: tuple[Sglang, OpenAIGenerator]) -> None:
    double, generator = server
    streams = await asyncio.gather(*[asked(generator, seed=seed) for seed in range(20)])
    assert generator.waiting() == 20
    texts = ["".join([piece async for piece in stream]) for stream in streams]
    assert texts == ["I am base"] * 20
    assert [stream.usage for stream in streams] == [Generation("I am base", 7, 3, "stop")] * 20
    assert sorted(body["seed"] for body in double.asked) == list(range(20))
    assert {body["key"] for body in double.asked} == {"Bearer secret"}
    assert generator.waiting() == 0


async def test_an_event_loop_is_told_the_same_refusals(server: tuple[Sglang, OpenAIGenerator], tmp_path: Path) -> None:
    double, generator = server
    generator.load("ada-1", tmp_path)
    double.adapters.clear()
    with pytest.raises(NotLoaded, match="has lost adapter ada-1"):
        await asked(generator, version="ada-1")
    with pytest.raises(NotLoaded, match="is not loaded"):
        await asked(generator, version="ada-1")
    double.busy = True
    with pytest.raises(QueueFull, match="queue is full"):
        await asked(generator)
    gone = OpenAIGenerator("tiny", "http://127.0.0.1:9", model="served")
    with pytest.raises(GeneratorError, match="cannot be reached"):
        await asked(gone)
    await asyncio.to_thread(gone.close)
    assert generator.waiting() == 0


async def test_an_answer_that_breaks_off_says_so_after_its_text(server: tuple[Sglang, OpenAIGenerator]) -> None:
    _, generator = server
    text, why = await until_error(await asked(generator, max_tokens=666))
    assert text == "I am base"
    assert "no memory" in why
    assert "broke off" in (await until_error(await asked(generator, max_tokens=333)))[1]
    assert generator.waiting() == 0


async def test_a_reader_in_an_event_loop_cancels(server: tuple[Sglang, OpenAIGenerator]) -> None:
    double, generator = server
    stream = await asked(generator, max_tokens=999)
    assert (await anext(stream)).startswith("I ")
    waits = asyncio.ensure_future(_rest(stream))
    await asyncio.sleep(0.05)
    stream.cancel()
    stream.cancel()
    await asyncio.wait_for(waits, 10)
    assert stream.usage is not None
    assert stream.usage.finish_reason == "cancelled"
    assert await asyncio.to_thread(double.broken_off.wait, 10)
    assert generator.waiting() == 0


async def _rest(stream: AsyncStream) -> None:
    async for _ in stream:
        pass
