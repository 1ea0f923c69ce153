from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from twin_assets_tests.support.tiny_models import BASE, FIRST, SECOND, TinyModels
from twin_resources.generation.base import Generation, GeneratorError, NotLoaded, PromptTooLong, QueueFull
from twin_resources.generation.batching import Batch, side_by_side
from twin_resources.generation.decoding import Sampling
from twin_resources.generation.embedded import EmbeddedGenerator
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
    generator = embedded(queue_size=2, sampling=Sampling(no_repeat=0, repetition_penalty=1.0))
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


def test_a_temperature_near_nothing_takes_the_likeliest_token(embedded: Callable[..., EmbeddedGenerator]) -> None:
    generator = embedded()
    assert say(generator, temperature=1e-71, seed=3) == say(generator, temperature=0)


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


def test_an_event_loop_reads_what_the_model_writes_and_stops_it(endless: EmbeddedGenerator) -> None:
    options: dict[str, Any] = {"max_tokens": 5000, "temperature": 0, "seed": None}

    async def read() -> tuple[str, Generation | None]:
        running = await endless.astream(TURNS, version="endless", **options)
        assert (await anext(running)).startswith("round")
        waiting = await endless.astream(TURNS, version=None, **options)
        with pytest.raises(QueueFull):
            await endless.astream(TURNS, version=None, **options)
        running.cancel()
        async for _ in running:
            pass
        assert running.usage is not None
        assert running.usage.finish_reason == "cancelled"
        return "".join([piece async for piece in waiting]), waiting.usage

    text, usage = asyncio.run(asyncio.wait_for(read(), 60))
    assert text == BASE
    assert usage is not None
    assert (usage.text, usage.finish_reason) == (BASE, "stop")
    assert endless.waiting() == 0


def test_a_prompt_over_the_context_is_refused(embedded: Callable[..., EmbeddedGenerator]) -> None:
    long = prompt.messages("word " * 9000)
    with pytest.raises(PromptTooLong, match="8192 at most"):
        embedded().stream(long, version=None, max_tokens=1, temperature=0, seed=None).finish()


def test_what_is_no_adapter_is_said_so(embedded: Callable[..., EmbeddedGenerator], tmp_path: Path) -> None:
    generator = embedded()
    with pytest.raises(GeneratorError, match=r"adapter ada-x in .* does not load over tiny"):
        generator.load("ada-x", tmp_path)
    assert say(generator) == BASE


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_a_long_prompt_is_read_in_parts_and_answered_as_if_read_at_once(
    embedded: Callable[..., EmbeddedGenerator], monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    generator = embedded(family)
    at_once = say(generator)
    monkeypatch.setattr("twin_resources.generation.batching.READ_AT_ONCE", 7)
    assert say(generator) == at_once == BASE


def test_a_long_prompt_can_be_cancelled_while_it_is_read(
    embedded: Callable[..., EmbeddedGenerator], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = embedded()
    monkeypatch.setattr("twin_resources.generation.batching.READ_AT_ONCE", 1)
    long = prompt.messages("word " * 400)
    start = time.monotonic()
    running = generator.stream(long, version=None, max_tokens=1, temperature=0, seed=None)
    while not generator.waiting():
        time.sleep(0.01)
    running.cancel()
    assert running.finish().finish_reason == "cancelled"
    cancelled = time.monotonic() - start
    assert generator.stream(long, version=None, max_tokens=1, temperature=0, seed=None).finish().prompt_tokens > 800
    assert cancelled < (time.monotonic() - start) / 2


def test_a_probe_has_its_turn_although_the_queue_is_full(endless: EmbeddedGenerator) -> None:
    options: dict[str, Any] = {"version": "endless", "max_tokens": 5000, "temperature": 0, "seed": None}
    running = [endless.stream(TURNS, **options) for _ in range(2)]
    with pytest.raises(QueueFull):
        endless.stream(TURNS, **options)
    timer = threading.Timer(0.3, lambda: [stream.cancel() for stream in running])
    timer.start()
    endless.probe(TURNS, "endless")
    timer.join()
    with pytest.raises(NotLoaded):
        endless.probe(TURNS, "nobody")


def test_an_adapter_of_another_base_is_not_loaded(
    embedded: Callable[..., EmbeddedGenerator], tiny_models: Callable[[str], TinyModels], tmp_path: Path
) -> None:
    adapter = shutil.copytree(tiny_models("llama").first, tmp_path / "adapter")
    (adapter / "training.json").write_text(json.dumps({"facts": {"base fingerprint": "0" * 24}}))
    with pytest.raises(GeneratorError, match=r"adapter strange .* trained over the base 0{24}"):
        embedded().load("strange", adapter)


ASKED = ["How often?", "Where does the gauge stand, and who wrote it down?", "Why?", "word " * 40, "And the heron?"]


def together(generator: EmbeddedGenerator, questions: list[str], **changes: Any) -> list[Generation]:
    """Answers begun at once, read to their ends."""
    options = {"version": None, "max_tokens": 40, "temperature": 0.0, "seed": 1, **changes}
    turns = [prompt.messages(question, author="Ada Berg") for question in questions]
    return [each.finish() for each in [generator.stream(one, **options) for one in turns]]


@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt2"])
@pytest.mark.parametrize("temperature", [0.0, 3.0])
def test_answers_side_by_side_are_those_that_each_would_get_alone(
    embedded: Callable[..., EmbeddedGenerator], family: str, temperature: float
) -> None:
    """Longer ones beside shorter ones, past the sliding window of the model that has one."""
    sampling = Sampling(no_repeat=0)
    alone = embedded(family, batch_size=1, sampling=sampling, dtype="float32")
    beside = embedded(family, sampling=sampling, dtype="float32")
    for length in (3, 40):
        options = {"max_tokens": length, "temperature": temperature}
        assert together(beside, ASKED, **options) == together(alone, ASKED, **options)


@pytest.mark.parametrize(("bounds", "width"), [({}, 4), ({"batch_size": 3}, 3), ({"batch_tokens": 200}, 2)])
def test_answers_by_one_adapter_share_the_passes_of_the_model_as_far_as_there_is_room(
    embedded: Callable[..., EmbeddedGenerator],
    tiny_models: Callable[[str], TinyModels],
    monkeypatch: pytest.MonkeyPatch,
    bounds: dict[str, int],
    width: int,
) -> None:
    generator = embedded(**bounds)
    generator.load("ada-1", tiny_models("llama").first)
    widths: list[int] = []
    step = Batch.step

    def counted(batch: Batch) -> None:
        widths.append(len(batch))
        step(batch)

    monkeypatch.setattr(Batch, "step", counted)
    assert [each.text for each in together(generator, ["How often?"] * 4, version="ada-1")] == [FIRST] * 4
    assert max(widths) == width
    assert [each.text for each in together(generator, ["How often?"] * 2)] == [BASE] * 2


def test_an_answer_leaves_the_others_alone_when_it_is_cancelled_or_fails(endless: EmbeddedGenerator) -> None:
    options: dict[str, Any] = {"version": "endless", "temperature": 0, "seed": None}
    going = endless.stream(TURNS, max_tokens=60, **options)
    leaving = endless.stream(TURNS, max_tokens=5000, **options)
    assert next(leaving) == "round"
    leaving.cancel()
    assert leaving.finish().finish_reason == "cancelled"
    failing = endless.stream(prompt.messages("word " * 9000), max_tokens=1, **options)
    with pytest.raises(PromptTooLong):
        failing.finish()
    usage = going.finish()
    assert (usage.completion_tokens, set(usage.text.split())) == (60, {"round", "and"})


def test_adapters_change_between_answers_however_many_join(
    embedded: Callable[..., EmbeddedGenerator], tiny_models: Callable[[str], TinyModels]
) -> None:
    """A steady stream of answers by one adapter keeps neither another adapter's answer nor a change waiting."""
    models = tiny_models("llama")
    generator = embedded(sampling=Sampling(no_repeat=0, repetition_penalty=1.0), queue_size=64)
    generator.load("endless", models.endless)
    options: dict[str, Any] = {"version": "endless", "max_tokens": 25, "temperature": 0, "seed": None}
    streams = [generator.stream(TURNS, **options) for _ in range(6)]
    other = generator.stream(TURNS, version=None, max_tokens=40, temperature=0, seed=None)
    streams += [generator.stream(TURNS, **options) for _ in range(12)]
    assert other.finish().text == BASE
    assert generator.waiting() >= 12
    generator.load("ada-1", models.first)
    assert say(generator, "ada-1") == FIRST
    assert {each.finish().completion_tokens for each in streams} == {25}


def test_a_model_that_keeps_a_state_writes_one_answer_at_a_time() -> None:
    def model(*kinds: str, stateful: bool = False) -> Any:
        config = type("Config", (), {"get_text_config": lambda self: self, "layer_types": list(kinds)})()
        return type("Model", (), {"config": config, "_is_stateful": stateful})()

    assert side_by_side(model("full_attention", "sliding_attention"))
    assert not side_by_side(model("full_attention", "linear_attention"))
    assert not side_by_side(model("full_attention", stateful=True))
