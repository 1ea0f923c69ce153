"""Samples teach the author's own words, and the test split stays unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from twin_assets.dataset import files, instruct
from twin_assets_tests.support import rows
from twin_resources.storage.chunk_store import Chunk
from twin_resources.storage.datasets import Split

PROSE = (
    "I keep a tide table by the door. It is wrong by four minutes, always, and I have never corrected it because the "
    "four minutes are what I need to find my boots. A plan without slack number {n} is a plan for somebody else's "
    "morning, and the sea of year {n} does not wait for anybody who argues with a printed page about it."
)


def chunk(document: int, position: int, text: str, heading: tuple[str, ...] = (), category: str = "articles") -> Chunk:
    return rows.chunk(
        id=f"c{document}-{position}",
        document_id=f"d{document}",
        url=f"https://example.com/{document}",
        title=f"Essay {document}",
        category=category,
        heading=heading,
        text=text,
        position=position,
    )


def corpus(documents: int = 40) -> list[Chunk]:
    found = []
    for document in range(documents):
        found.append(chunk(document, 0, PROSE.format(n=document * 10)))
        found.append(
            chunk(document, 1, f"## Part {document}\n\n" + PROSE.format(n=document * 10 + 1), (f"Part {document}",))
        )
        found.append(chunk(document, 2, PROSE.format(n=document * 10 + 2), (f"Part {document}",)))
    return found


def unlike(document: int) -> str:
    words = [f"word{document}x{index}" for index in range(60)]
    return " ".join(words) + "."


def distinct(documents: int = 40) -> list[Chunk]:
    return [
        chunk(
            document, position, unlike(document * 10 + position), (f"Part {document} {position}",) if position else ()
        )
        for document in range(documents)
        for position in range(3)
    ]


def test_answers_are_the_authors_words_without_the_heading() -> None:
    made = instruct.build("me", distinct())
    texts = {each.id: each.text for each in distinct()}
    assert len(made.samples) > 90
    for sample in made.samples:
        assert sample.answer in texts[sample.chunk_ids[0]]
        assert not sample.answer.startswith("#")
        assert sample.instruction


def test_a_document_that_is_left_out_of_the_splits_teaches_nothing() -> None:
    splits: dict[str, Split | None] = {f"d{number}": "train" for number in range(40)}
    made = instruct.build("me", distinct(), splits={**splits, "d3": None, "d4": "test"})
    assert {sample.document_id for sample in made.samples} == splits.keys() - {"d3"}
    assert {sample.split for sample in made.samples if sample.document_id == "d4"} == {"test"}
    assert made.dropped["between_splits"] == 3


def test_near_copies_are_kept_out_of_the_test_split() -> None:
    made = instruct.build("me", corpus())
    assert made.dropped["leaked_answer"] > 0
    assert not made.split("test"), "all of it stands in training, in nearly the same words"


def test_poor_answers_are_left_out_with_a_reason() -> None:
    poor = [
        chunk(1, 0, "Too short."),
        chunk(2, 0, "```\n" + "x = 1\n" * 50 + "```\nand a few words of prose that are not enough to count as any."),
        chunk(3, 0, " ".join(f"[a](https://example.com/{n}/{'x' * 40})" for n in range(30))),
        chunk(4, 1, PROSE.format(n=1), ("References",)),
        chunk(5, 0, unlike(5)),
        *(chunk(document, 0, unlike(5)) for document in range(6, 10)),
    ]
    made = instruct.build("me", poor)
    assert set(made.dropped) >= {"too_short", "mostly_code", "mostly_links", "boilerplate", "exact_duplicate"}


def test_an_article_about_chat_templates_is_learned_from() -> None:
    template = "A chat template is a habit of notation: one writes <|im_start|>user before what a person asks and "
    template += "<|im_end|> behind it, older models want [INST] and [/INST], and whoever mixes the two gets nonsense."
    made = instruct.build("me", [*distinct(), chunk(50, 0, template)])
    (sample,) = (each for each in made.samples if each.document_id == "d50")
    assert sample.answer == template, "the author's own words, letter for letter"
    assert not made.dropped["control_token"]


def test_the_version_follows_the_content_alone(tmp_path) -> None:
    first, second = instruct.build("me", distinct()), instruct.build("me", distinct())
    assert first.id == second.id
    assert instruct.build("you", distinct()).id != first.id
    assert instruct.build("me", distinct(41)).id != first.id
    files.write_instruct(tmp_path, first)
    stored = [sample for split in files.SPLITS for sample in files.read_samples(tmp_path / f"{split}.parquet")]
    assert len(stored) == len(first.samples)
    assert {sample.id: sample for sample in stored} == {sample.id: sample for sample in first.samples}


def test_a_split_is_streamed_in_the_order_it_is_stored_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_PAGE", 7)
    files.write_instruct(tmp_path, instruct.build("me", distinct()))
    stored = files.read_samples(tmp_path / "train.parquet")
    assert len(stored) > 14, "several pages"
    assert list(files.stream_samples(tmp_path / "train.parquet")) == stored
