"""Passages of one document, stitched into conversations, from the samples to what a model is trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from twin_assets.dataset import files, instruct
from twin_assets.dataset.encode import encode_split
from twin_assets_tests.support import rows
from twin_assets_tests.support.tiny_models import TinyModels
from twin_resources.models import causal
from twin_resources.storage.chunk_store import Chunk


def passages(documents: int = 40, each: int = 4) -> list[Chunk]:
    """Passages with no word in common."""
    return [
        rows.chunk(
            id=f"c{document}-{place}",
            document_id=f"d{document}",
            title=f"Essay {document}",
            heading=(f"Part {document} {place}",) if place else (),
            text=" ".join(f"word{document}x{place}x{index}" for index in range(40)) + ".",
            position=place,
        )
        for document in range(documents)
        for place in range(each)
    ]


def test_a_conversation_goes_on_from_what_stands_before_it_in_its_document() -> None:
    alone = instruct.build("ada", passages(), 0.0)
    made = instruct.build("ada", passages(), 0.0, conversation_share=0.5)
    assert [(each.id, each.answer) for each in made.samples] == [(each.id, each.answer) for each in alone.samples]
    assert made.id != alone.id, "it is another dataset"
    by_id = {each.id: each for each in made.samples}
    places = {each.id: place for place, each in enumerate(made.samples)}
    longer = [each for each in made.samples if each.history]
    able = [each for each in made.samples if each.split != "test" and not each.chunk_ids[0].endswith("-0")]
    assert 0.35 < len(longer) / len(able) < 0.65
    assert {len(each.history) for each in longer} == {1, 2}
    assert {each.split for each in longer} == {"train", "validation"}
    for sample in longer:
        last = places[sample.id]
        assert [places[turn.sample_id] for turn in sample.history] == list(range(last - len(sample.history), last))
        for turn in sample.history:
            earlier = by_id[turn.sample_id]
            assert (turn.instruction, turn.answer) == (earlier.instruction, earlier.answer)
            assert earlier.document_id == sample.document_id


def test_a_document_that_comes_or_goes_changes_no_other_conversation() -> None:
    def turns(chunks: list[Chunk]) -> dict[str, tuple[str, ...]]:
        samples = instruct.build("ada", chunks, 0.0, conversation_share=0.5).samples
        return {each.id: tuple(turn.sample_id for turn in each.history) for each in samples if each.split == "train"}

    few, many = turns(passages(20)), turns(passages(40))
    assert few == {key: many[key] for key in few}


def test_it_is_stored_and_trained_on_with_its_turns_as_far_as_there_is_room(
    tmp_path: Path, tiny_models: Callable[[str], TinyModels]
) -> None:
    made = instruct.build("ada", passages(10), 0.0, conversation_share=1.0)
    files.write_instruct(tmp_path, made)
    train = files.read_samples(tmp_path / "train.parquet")
    assert train == made.split("train")
    sample = next(each for each in train if len(each.history) == 2)
    tokenizer = causal.load_tokenizer(tiny_models("llama").base)

    def seen(longest: int) -> tuple[str, str]:
        (row,) = encode_split(tokenizer, [sample], "Ada Berg", 4000, longest).rows
        text = tokenizer.decode(row.ids[: row.prompt_length])
        return text, tokenizer.decode(row.ids[row.prompt_length :], skip_special_tokens=True)

    whole, answer = seen(100_000)
    assert [whole.count(turn.answer) for turn in sample.history] == [1, 1]
    assert (
        whole.index(sample.history[0].answer) < whole.index(sample.history[1].answer) < whole.index(sample.instruction)
    )
    assert answer == sample.answer, "only the last answer is learned"
    room = len(tokenizer(whole)["input_ids"]) + len(tokenizer(sample.answer)["input_ids"])
    shorter, answer = seen(room - 20)
    assert [shorter.count(turn.answer) for turn in sample.history] == [0, 1]
    assert answer == sample.answer
    (alone,) = encode_split(tokenizer, [replace(sample, history=())], "Ada Berg", 4000, 100).rows
    assert encode_split(tokenizer, [sample], "Ada Berg", 4000, 100).rows == [alone]
