"""A language model writes instructions for the author's passages: what is taken of it, and what it costs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import dagster as dg
import pytest
import sqlalchemy as sa
from starlette.responses import JSONResponse

from twin_assets import keys
from twin_assets.dataset import instruct
from twin_assets.dataset.generators.answering import misquoted
from twin_assets.dataset.generators.base import OwnPassage, own_passages
from twin_assets.dataset.generators.llm import LanguageModel
from twin_assets_tests.support import essays, rows
from twin_assets_tests.support.world import World
from twin_assets_tests.support.writer import Fault, Writer, written
from twin_resources.config.datasets import GeneratedKind, GeneratorSettings
from twin_resources.generation.base import GeneratorError
from twin_resources.generation.completions import Completions
from twin_resources.runtime.resources import ASKED, Twin
from twin_resources.storage.chunk_store import Chunk
from twin_resources.storage.samples.responses import Responses

Make = Callable[..., LanguageModel]
TARGETS: dict[GeneratedKind, int] = {"write_about": 9, "explain": 9, "continue": 9, "rewrite": 9, "question": 12}


@pytest.fixture
def writer() -> Iterator[Writer]:
    with Writer() as started:
        yield started


@pytest.fixture
def make(writer: Writer, engine: sa.Engine) -> Iterator[Make]:
    opened: list[Completions] = []

    def model(targets: dict[GeneratedKind, int], **changes: object) -> LanguageModel:
        opened.append(Completions(writer.url, attempts=2, sleep=lambda seconds: None))
        rules = GeneratorSettings.model_validate({"targets": targets, **changes})
        return LanguageModel(opened[-1], Responses(engine), rules, lambda said: None)

    yield model
    for each in opened:
        each.close()


def corpus(count: int = 30) -> list[Chunk]:
    return [
        rows.chunk(id=f"c{number}", document_id=f"d{number}", title=f"Essay <{number}>", text=text, position=0)
        for number in range(count)
        for text in [essays.essay(number).split("\n\n")[2].strip() + " Nobody asked me twice."]
    ]


def passages(count: int) -> list[OwnPassage]:
    return [each for chunk in corpus(count) for each in own_passages([chunk], Counter())]


def test_the_answer_is_the_passage_and_a_question_is_answered_out_of_it(make: Make) -> None:
    texts = {each.id: each.text for each in corpus()}
    model = make(TARGETS)
    made = list(model.generate(passages(30), Counter()))
    assert {sample.kind for sample in made} == TARGETS.keys()
    assert len({sample.chunk_ids for sample in made if sample.kind != "question"}) == len(made) - 12
    for sample in made:
        assert sample.answer in texts[sample.chunk_ids[0]]
        if sample.kind == "continue":
            first = sample.instruction.split("\n\n")[-1]
            assert f"{first} {sample.answer}" == texts[sample.chunk_ids[0]]
    assert model.usage.requests == len(made)
    assert model.usage.cost(model.rules) is None
    priced = GeneratorSettings.model_validate({"input_price": 2, "output_price": 10})
    assert model.usage.cost(priced) == pytest.approx(len(made) * (100 * 2 + 10 * 10) / 1e6)


def test_each_passage_ends_as_a_sample_or_with_a_reason(make: Make, writer: Writer) -> None:
    """The faults that a model is known for; a passage that it spoils keeps its extractive sample."""
    invented = json.dumps({"question": "What did it cost to paint it?", "answer": "It cost 4,000 crowns in Oslo."})
    faults: dict[str, Fault] = {
        "broken_json": '{"instruction": "Write',
        "wrong_schema": '{"task": "Write about the sea and all that."}',
        "empty": "",
        "server_error": partial(JSONResponse, {}, 500),
        "rate_limited": partial(JSONResponse, {}, 429, {"Retry-After": "0"}),
        "refused": partial(JSONResponse, {}, 400),
    }
    by_title = {f"Title: Essay <{number}>": fault for number, fault in enumerate(faults.values())}
    same = json.dumps({"instruction": "Write about what you know."})
    by_title |= {f"Title: Essay <{number}>": same for number in (6, 7, 8)}

    def order(prompt: str) -> Fault | None:
        if "Essay <9>" in prompt:
            return json.dumps({"instruction": prompt})
        if "Essay <10>" in prompt:
            return f"<think>{{hm}}</think>Here it is:\n```json\n{written(prompt)}\n```"
        return next((fault for title, fault in by_title.items() if title in prompt), None)

    writer.always = order
    dropped: Counter[str] = Counter()
    made = list(make({"write_about": 12}).generate(passages(12), dropped))
    assert dropped == {f"generator_{name}": 1 for name in faults} | {"generator_repeated": 2, "generator_copied": 1}
    assert {sample.document_id for sample in made} == {"d6", "d10", "d11"}
    assert len(made) + dropped.total() == 12

    built = instruct.build("me", corpus(12), 0.0, writer=make({"write_about": 12}))
    assert Counter(sample.kind for sample in built.samples if sample.document_id in ("d0", "d11")) == {
        "opening": 1,
        "write_about": 1,
    }

    writer.always = lambda prompt: invented
    dropped.clear()
    assert not list(make({"question": 12}).generate(passages(12), dropped))
    assert dropped == {"generator_ungrounded": 12}


def test_it_asks_for_summaries_for_code_and_for_questions_among_passages(make: Make, writer: Writer) -> None:
    code = "```python\nheight = low + range / 2\n```"
    shown = f"The gauge wants a number:\n\n{code}\n\nHalf of it will do for all of us on the quay."
    chunks = [
        rows.chunk(id=f"c{number}-{part}", document_id=f"d{number}", title=f"Essay <{number}>", position=part,
                   heading=heading, text=text)
        for number in range(8)
        for sections in [essays.essay(number, 2).split("\n\n")]
        for part, (heading, text) in enumerate([((), " ".join(sections[2:4])), (("Code",), f"{shown} {number}"),
                                                (("Fazit",), essays.essay(90 + number, 1).split("\n\n")[2])])
    ]  # fmt: skip
    model = make({"summarise": 4, "code": 4, "cited": 12})
    made = instruct.build("ada", chunks, 0.2, writer=model)
    asked = [body["messages"][-1]["content"] for body in writer.asked]
    assert sum("<document>" in prompt for prompt in asked) == 4
    assert sum("```python" in prompt and "explain it" in prompt for prompt in asked) == 4
    for sample in made.samples:
        if sample.kind == "summarise":
            assert "\n\n" in sample.instruction
            assert sample.answer not in sample.instruction
    by_model = [each for each in made.samples if each.passages and each.instruction.startswith("What of")]
    assert by_model, "what a reader may ask stands among passages"
    assert not [each for each in made.samples if each.kind == "cited"], "and nowhere else"
    for sample in by_model:
        assert misquoted(sample) is None

    writer.always = lambda prompt: json.dumps({"question": "What does it cost?", "answer": "It costs 4 crowns."})
    dropped: Counter[str] = Counter()
    assert not list(make({"cited": 6}).generate(passages(6), dropped))
    assert dropped == {"generator_not_copied": 6}


def test_some_are_asked_at_once_and_a_dead_server_is_left_alone(make: Make, writer: Writer) -> None:
    writer.slow = 0.02
    list(make({"write_about": 30}, concurrency=3).generate(passages(30), Counter()))
    assert writer.most_at_once == 3
    writer.asked.clear()
    writer.always = lambda prompt: partial(JSONResponse, {}, 503)
    with pytest.raises(GeneratorError, match="is kept and not paid for again"):
        list(make({"write_about": 30}, concurrency=2).generate(passages(30), Counter()))
    assert len(writer.asked) < 30


def test_an_interrupted_dataset_goes_on_where_it_stopped(
    world: World, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.texts = {number: essays.essay(number) for number in range(4)}
    monkeypatch.setenv("TWIN_GENERATOR_URL", writer.url)
    monkeypatch.setenv("TWIN_GENERATOR_KEY", "s3cret")
    others = {"summarise": 0, "code": 0, "cited": 0}
    monkeypatch.setenv("TWIN_DATASETS__GENERATOR__TARGETS", json.dumps(TARGETS | others))
    monkeypatch.setenv("TWIN_DATASETS__GENERATOR__OUTPUT_PRICE", "5")
    world.twin = Twin(config=world.twin.config)
    world.collect()
    answered = 10
    left = iter(range(answered))
    writer.always = lambda prompt: partial(JSONResponse, {}, 401) if next(left, None) is None else None
    assert world.fails()
    assert world.twin.datasets.newest("ada", "instruct") is None
    assert len(writer.asked) < 20, "with a key that is refused nothing more is asked"

    writer.asked.clear()
    writer.always = lambda prompt: None
    made = world.make()
    resumed = len(writer.asked)
    assert writer.keys == {"Bearer s3cret"}
    assert made.manifest["made_by"]["language_model"] == {
        "generator": "llm",
        "model": "scribe-1",
        "prompt": "2",
        "targets": dict(sorted(TARGETS.items())),
    }
    checks = made.manifest["checks"]
    assert {"grounded", "rightly_cited", "clean_text", "well_formed"} <= {name for name in checks if checks[name]}
    assert {"rewrite", "question"} <= made.manifest["kinds"].keys()
    event = world.instance.get_latest_materialization_event(keys.INSTRUCT)
    assert event
    assert event.asset_materialization
    spent = event.asset_materialization.metadata["language model"]
    assert isinstance(spent, dg.JsonMetadataValue)
    assert spent.data == {
        "requests": resumed,
        "kept": answered,
        "prompt_tokens": 100 * resumed,
        "completion_tokens": 10 * resumed,
        "cost": pytest.approx(5 * 10 * resumed / 1e6),
    }

    with world.twin.engine.begin() as session:
        session.execute(sa.text("DELETE FROM generated_response"))
    writer.asked.clear()
    assert world.make("twin run", **{ASKED: "true"}).id == made.id, "without an interruption it would be the same"
    assert len(writer.asked) == answered + resumed, "and what was paid for was not paid for again"
