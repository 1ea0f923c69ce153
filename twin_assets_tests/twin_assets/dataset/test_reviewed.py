"""What people decide on samples is in the next version, and an edit goes through the checks like everything else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from twin_assets.dataset import instruct, reviewed
from twin_assets.dataset.samples import InstructDataset, InstructSample
from twin_assets_tests.support import essays, rows
from twin_resources.storage.chunk_store import Chunk
from twin_resources.storage.samples.reviews import Review


def corpus() -> list[Chunk]:
    return [
        rows.chunk(
            id=f"c{number}-{place}",
            document_id=f"d{number}",
            url=f"https://ada.example/{number}",
            title=f"Essay {number}",
            heading=(f"Part {place}",),
            text=part,
            position=place,
        )
        for number in range(30)
        for place, part in enumerate(essays.essay(number).split("\n## ")[1:])
    ]


def build(*reviews: Review, share: float = 0.4) -> InstructDataset:
    return instruct.build("me", corpus(), share, reviews={each.sample_id: each for each in reviews})


def review(sample: InstructSample, verdict: Any, answer: str | None = None, by: str = "Bo") -> Review:
    return Review(sample.id, verdict, answer, by, datetime(2026, 11, 21, tzinfo=UTC))


def ids(dataset: InstructDataset) -> set[str]:
    return {sample.id for sample in dataset.samples}


def test_a_rejected_sample_is_left_out_with_all_that_shows_its_passage() -> None:
    before = build()
    sample = next(each for each in before.samples if each.split == "train" and not each.passages)
    after = build(review(sample, "rejected"))
    assert after.dropped["rejected in review by Bo"] == 1
    gone = [each for each in before.samples if each.id not in ids(after)]
    assert sample in gone
    assert all(sample.chunk_ids[0] in each.chunk_ids for each in gone)
    assert ids(after) < ids(before), "and nothing else is made another way, so other reviews hold"
    assert after.id != before.id
    assert reviewed.described(after.samples, after.dropped) == {"reviewed_by": {}, "left_out_in_review": 1}


def test_an_accepted_sample_changes_nothing() -> None:
    before = build()
    after = build(review(before.samples[0], "accepted"))
    assert after.id == before.id
    assert reviewed.described(after.samples, after.dropped) == {}


def test_an_edited_sample_carries_its_new_answer_under_an_id_of_its_own() -> None:
    before = build(share=0)
    sample = next(each for each in before.samples if each.split == "train")
    shorter = sample.answer[: sample.answer.index(". ") + 1]
    decided = review(sample, "edited", shorter)
    after = build(decided, share=0)
    assert ids(after) == ids(before) - {sample.id} | {decided.edited_id}
    edited = next(each for each in after.samples if each.id == decided.edited_id)
    assert (edited.answer, edited.reviewed_by) == (shorter, "Bo")
    assert (edited.instruction, edited.split, edited.chunk_ids) == (sample.instruction, "train", sample.chunk_ids)
    assert reviewed.described(after.samples, after.dropped)["reviewed_by"] == {"Bo": 1}


def test_an_edit_that_the_passage_does_not_support_is_not_let_in_and_neither_is_what_was_wrong() -> None:
    before = build(share=0)
    sample = next(each for each in before.samples if each.split == "train")
    number = next(word for word in sample.answer.split() if word.isdigit())
    for answer, check in (
        (sample.answer.replace(f" {number} ", " 4711 "), "invented_number"),
        (
            "Ships are sold by the kilogram in every harbour of the southern hemisphere, as sailors know.",
            "unground",
        ),
        (f"{sample.answer} Write to bosun.harbour@gmail.com about it.", ""),
    ):
        after = build(review(sample, "edited", answer), share=0)
        [reason] = [each for each in after.dropped if each.startswith(f"edited in review by Bo, but: {check}")]
        assert after.dropped[reason] == 1
        assert ids(after) == ids(before) - {sample.id}


def test_an_edited_answer_from_passages_still_has_to_name_the_right_one() -> None:
    before = build()
    sample = next(each for each in before.samples if each.kind == "answer" and each.split == "train")
    without = sample.answer.rsplit(" [", 1)[0]
    after = build(review(sample, "edited", without))
    assert after.dropped["edited in review by Bo, but: wrongly_cited"] == 1
    silent = next(each for each in before.samples if each.kind == "silence" and each.split == "train")
    after = build(review(silent, "edited", "I keep it by the door."))
    assert after.dropped["edited in review by Bo, but: silence"] == 1
