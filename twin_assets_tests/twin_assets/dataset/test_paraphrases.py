"""Some instructions a second time in other words: marked, learned from alone, and never more than one of a sample."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from twin_assets.dataset import files, instruct
from twin_assets.dataset.checked import as_checked
from twin_assets.dataset.generators import rejected
from twin_assets.dataset.generators.llm import LanguageModel
from twin_assets.dataset.generators.rejected import Speaker
from twin_assets.dataset.samples import InstructDataset, InstructSample
from twin_assets_tests.support import rows
from twin_assets_tests.support.world import World
from twin_assets_tests.support.writer import Writer, written
from twin_resources.config.datasets import GeneratorSettings
from twin_resources.exporting.formats import alpaca, chatml, sharegpt
from twin_resources.generation.completions import Completions
from twin_resources.quality import inspection, reading
from twin_resources.quality.sources import Sources
from twin_resources.reviewing.queue import ReviewQueue, Wanted
from twin_resources.storage.chunk_store import Chunk
from twin_resources.storage.samples.responses import Responses
from twin_resources.storage.samples.reviews import Review
from twin_resources.text.words import plain_words


def passages(documents: int = 30, each: int = 3) -> list[Chunk]:
    """Passages with no word in common."""
    return [
        rows.chunk(
            id=f"c{document}-{place}",
            document_id=f"d{document}",
            title=f"Essay {document}",
            heading=(f"Part {document} {place}",) if place else (),
            text="The " + " ".join(f"word{document}x{place}x{index}" for index in range(40)) + ".",
            position=place,
        )
        for document in range(documents)
        for place in range(each)
    ]


def built(share: float, chunks: list[Chunk] | None = None, **values: object) -> InstructDataset:
    return instruct.build("ada", chunks or passages(), 0.0, paraphrase_share=share, **values)  # type: ignore[arg-type]


def again(made: InstructDataset) -> list[InstructSample]:
    return [each for each in made.samples if each.paraphrase_of]


def test_a_share_of_the_training_samples_stands_there_in_other_words_as_well() -> None:
    alone, made = built(0.0), built(0.3)
    by_id = {each.id: each for each in made.samples}
    assert [each for each in made.samples if not each.paraphrase_of] == alone.samples, "nothing else changes"
    found = again(made)
    assert 0.15 < len(found) / len(alone.split("train")) < 0.45
    assert len({each.paraphrase_of for each in found}) == len(found), "at most one of each"
    assert len({each.instruction.split("“")[0] for each in found}) > 3, "in several ways"
    for each in found:
        original = by_id[each.paraphrase_of]
        assert (each.answer, each.document_id, each.kind) == (original.answer, original.document_id, original.kind)
        assert plain_words(each.instruction) != plain_words(original.instruction)
        assert original.document_id.removeprefix("d") in each.instruction or original.kind == "continuation"
        assert {each.split, original.split} == {"train"}, "what is held out is asked once"
    assert built(0.3).id == made.id
    few = {each.id: each.instruction for each in again(built(0.3, passages(15)))}
    assert few == {key: each.instruction for key, each in by_id.items() if key in few}, "and documents change no others"
    assert len(again(built(1.0))) == len(alone.split("train"))


@pytest.mark.parametrize(
    ("prose", "word"),
    [
        ("Der Hafenmeister schreibt jeden Morgen den Pegel in ein Heft, und abends liest er nach, ob die Tafel am Kai "
         "gelogen hat. Meistens hat sie das, und niemand im Dorf wundert sich noch darüber.", "Artikel|Text"),
        ("Le bateau ne part jamais à l'heure prévue, et personne au village ne s'en plaint, parce que le café du quai "
         "reste ouvert jusqu'au dernier passager et que tout le monde le sait.", "article|texte"),
        ("Паром не ходит, когда дует с северо-запада, и тогда все сидят в зале ожидания и пьют кофе, пока кто-нибудь "
         "не начнёт рассказывать о шторме, который был здесь в прошлом году осенью.", "статьи|текст"),
    ],
)  # fmt: skip
def test_it_is_said_in_the_language_of_the_passage(prose: str, word: str) -> None:
    chunks = [
        rows.chunk(id=f"c{number}", document_id=f"d{number}", title=f"№ {number}", text=f"{prose} {number} " + " ".join(
            f"wort{number}x{index}" for index in range(20)))
        for number in range(12)
    ]  # fmt: skip
    found = again(built(1.0, chunks))
    assert found
    assert all(any(each in sample.instruction for each in word.split("|")) for sample in found)


def test_it_passes_the_checks_and_a_second_one_or_an_unmarked_one_does_not() -> None:
    made = built(1.0)

    def repeated(samples: list[InstructSample]) -> int:
        verdict = inspection.inspect((as_checked(each, index) for index, each in enumerate(samples)), Sources(()))
        return verdict.reasons()["exact_duplicate"]

    assert len(again(made)) > 40
    assert repeated(made.samples) == 0
    first = again(made)[0]
    assert repeated([*made.samples, replace(first, instruction="Write that once more, please.")]) == 1
    assert repeated([each if each is not first else replace(each, paraphrase_of="") for each in made.samples]) == 1
    original = next(each for each in made.samples if each.id == first.paraphrase_of)
    others = [each for each in made.samples if each is not first]
    assert repeated([*others, replace(first, instruction=original.instruction)]) == 1, "it is in the same words"
    held_out = next(each for each in made.samples if each.split == "test")
    crossing = replace(held_out, id="x", split="train", instruction="Write it.", paraphrase_of=held_out.id)
    samples = [*made.samples, crossing]
    verdict = inspection.inspect((as_checked(each, index) for index, each in enumerate(samples)), Sources(()))
    assert not verdict.passed, "a mark lets nothing over the split"
    assert verdict.reasons()["leaked_answer"] == 1


def test_it_goes_where_its_original_goes() -> None:
    made = built(1.0)
    first, second = again(made)[0], again(made)[-1]
    at = rows.interaction().at
    answer = " ".join(second.answer.split()[:20])
    reviews = {
        first.paraphrase_of: Review(first.paraphrase_of, "rejected", None, "bo", at),
        second.paraphrase_of: Review(second.paraphrase_of, "edited", answer, "bo", at),
    }
    left = built(1.0, reviews=reviews)
    there = {each.id for each in left.samples}
    assert not there & {first.id, first.paraphrase_of, second.id, second.paraphrase_of}
    assert left.dropped["original_left_out"] == 2
    copied = [*passages(), rows.chunk(id="copy", document_id="d900", title="Copy", text=passages()[0].text)]
    splits = {f"d{number}": "train" for number in (*range(30), 900)}
    kept = built(1.0, copied, splits=splits)
    assert kept.dropped["exact_duplicate"] >= 1
    ids = {each.id for each in kept.samples}
    assert all(each.paraphrase_of in ids for each in again(kept))


def test_it_is_stored_exported_and_read_with_its_mark(tmp_path: Path) -> None:
    made = built(0.5)
    files.write_instruct(tmp_path, made)
    stored = files.read_samples(tmp_path / "train.parquet")
    assert stored == made.split("train")
    marked = sum(bool(each.paraphrase_of) for each in stored)
    assert sum(each.paraphrase for each in reading.samples([tmp_path / "train.parquet"])) == marked > 10
    for convert in (alpaca, chatml, sharegpt):
        lines = [json.dumps(convert(row, "Ada Berg")) for row in files.read(tmp_path / "train.parquet")]
        (tmp_path / "train.jsonl").write_text("\n".join(lines))
        assert sum(each.paraphrase for each in reading.samples([tmp_path / "train.jsonl"])) == marked
    prompted = rejected.plan(stored, [Speaker("base", "b")], 1000, author="Ada", max_tokens=50)
    assert not [each for each in prompted if each.sample.paraphrase_of], "nor are pairs made of it"


def test_a_version_holds_them_by_default_and_the_review_says_which_they_are(world: World) -> None:
    version = world.make()
    queue = ReviewQueue(world.twin.engine, world.twin.artifacts).page("ada", Wanted(), size=1000)
    shown = {each.id: each for each in queue.samples}
    found = [each for each in queue.samples if each.paraphrase_of]
    assert found
    assert all(shown[each.paraphrase_of].answer == each.answer for each in found)
    assert all(version.manifest["checks"].values())
    assert version.manifest["facts"]["another one in other words"] == str(len(found))


@pytest.fixture
def writer() -> Iterator[Writer]:
    with Writer() as started:
        yield started


def test_a_language_model_says_it_first(writer: Writer, engine: sa.Engine) -> None:
    def reworded(prompt: str) -> str | None:
        if "<instruction>" not in prompt:
            return written(prompt)
        said = prompt.partition("<instruction>\n")[2].partition("\n</instruction>")[0]
        if "Essay 3" in said or "Part 3 " in said:
            return json.dumps({"instruction": "Write something else altogether."})
        return json.dumps({"instruction": f"Kindly, and in your manner: {said}"})

    writer.always = reworded
    with contextlib.closing(Completions(writer.url, attempts=2, sleep=lambda seconds: None)) as server:
        rules = GeneratorSettings.model_validate({"targets": {}})
        model = LanguageModel(server, Responses(engine), rules, lambda said: None)
        made = built(1.0, writer=model)
        by_model = [each for each in again(made) if each.instruction.startswith("Kindly")]
        others = [each for each in again(made) if not each.instruction.startswith("Kindly")]
        assert len(by_model) > 40
        assert {each.document_id for each in others} == {"d3"}, "what loses a title is not taken, and said by template"
        assert made.dropped["generator_lost"] == len(others)
        assert Counter(each.kind for each in by_model).keys() == {"opening", "section"}
