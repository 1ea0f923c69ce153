"""Samples that answer from passages quote the right one under its number, and are silent where it is not shown."""

from __future__ import annotations

import re
from dataclasses import replace

from twin_assets.dataset import instruct
from twin_assets.dataset.generators import answering
from twin_assets.dataset.generators.answering import misquoted
from twin_assets_tests.twin_assets.dataset.test_instruct import chunk
from twin_resources.rag import prompt
from twin_resources.rag.silence import saying
from twin_resources.storage.chunk_store import Chunk
from twin_resources.text.words import content_words


def _sentence(key: str) -> str:
    return " ".join(f"Word{key}{letter}" if letter == "a" else f"word{key}{letter}" for letter in "abcdefghijkl") + "."


def _paragraph(document: int, position: int) -> str:
    return " ".join(_sentence(f"{document}q{position}q{index}q") for index in range(8))


def essays(documents: int = 40) -> list[Chunk]:
    found = []
    for document in range(documents):
        for position in range(3):
            heading = f"Keeping harbour log {document} {position} dry"
            text = f"## {heading}\n\n{_paragraph(document, position)}" if position else _paragraph(document, position)
            found.append(chunk(document, position, text, (heading,) if position else ()))
    return found


def test_an_answer_is_made_of_sentences_of_the_right_passage_each_under_its_number() -> None:
    made = instruct.build("me", essays())
    texts = {each.id: each.text for each in essays()}
    answers = [sample for sample in made.split("train") if sample.kind == answering.ANSWER]
    assert len(answers) > 20
    for sample in answers:
        assert len(sample.passages) == 3
        markers = {int(number) for number in re.findall(r"\[(\d+)\]", sample.answer)}
        (marker,) = markers
        right = sample.passages[marker - 1]
        assert right.chunk_id == sample.chunk_ids[0]
        assert f'<passage id="{marker}"' in prompt.user_message(
            sample.instruction,
            [prompt.Passage(number, each.title, each.text) for number, each in enumerate(sample.passages, 1)],
        )
        pieces = re.findall(r"(.+?) \[\d+\]\s*", sample.answer)
        assert pieces
        assert all(piece in right.text and piece in texts[right.chunk_id] for piece in pieces)
        assert all(each.text in texts[each.chunk_id] for each in sample.passages)
        assert misquoted(sample) is None
    positions = {[each.chunk_id for each in sample.passages].index(sample.chunk_ids[0]) for sample in answers}
    assert positions == {0, 1, 2}, "the right passage stands anywhere"


def test_without_the_right_passage_the_answer_is_silence() -> None:
    made = instruct.build("me", essays())
    silent = [sample for sample in made.split("train") if sample.kind == answering.SILENCE]
    answers = [sample for sample in made.split("train") if sample.kind == answering.ANSWER]
    assert 0.1 < len(silent) / (len(silent) + len(answers)) < 0.45
    for sample in silent:
        assert sample.answer == saying("en")
        assert len(sample.passages) == 3, "as many as beside an answer, so their number tells nothing"
        shown = {each.chunk_id for each in sample.passages}
        assert sample.chunk_ids[0] not in shown
        assert shown == set(sample.chunk_ids[1:])
        wanted = content_words(sample.instruction)
        assert all(len(wanted & content_words(each.text)) <= len(wanted) / 2 for each in sample.passages)
        assert misquoted(sample) is None


def test_passages_are_short_enough_to_train_on() -> None:
    made = instruct.build("me", essays())
    assert max(len(each.text.split()) for sample in made.samples for each in sample.passages) <= answering.WORDS


def test_questions_and_passages_stay_on_their_side_of_the_split() -> None:
    made = instruct.build("me", essays(120))
    split_of = {f"d{document}": None for document in range(120)}
    for sample in made.samples:
        assert split_of.setdefault(sample.document_id, None) in (None, sample.split)
        split_of[sample.document_id] = sample.split
    documents = {each.id: each.document_id for each in essays(120)}
    for sample in made.samples:
        assert {split_of[documents[key]] for key in sample.chunk_ids} == {sample.split}
    for split in ("validation", "test"):
        assert any(sample.kind == answering.ANSWER for sample in made.split(split))
    asked = {sample.instruction for sample in made.split("train")}
    assert not asked & {sample.instruction for sample in (*made.split("validation"), *made.split("test"))}


def test_the_share_is_kept_and_nothing_is_drawn() -> None:
    for share in (0.0, 0.25, 0.4):
        made = instruct.build("me", essays(), share)
        found = sum(bool(sample.passages) for sample in made.samples)
        assert abs(found / len(made.samples) - share) < 0.03
    assert instruct.build("me", essays()).samples == instruct.build("me", essays()).samples
    assert instruct.build("me", essays(), 0.25).id != instruct.build("me", essays()).id


def test_a_wrong_quotation_is_found() -> None:
    made = instruct.build("me", essays())
    good = next(sample for sample in made.samples if sample.kind == answering.ANSWER)
    marker = re.findall(r"\[(\d)\]", good.answer)[0]
    other = "1" if marker != "1" else "2"
    assert misquoted(replace(good, answer=good.answer.replace(f"[{marker}]", f"[{other}]")))
    assert misquoted(replace(good, answer=f"I never said this. [{marker}]"))
    assert misquoted(replace(good, answer=f"{good.answer} And so on."))
    assert misquoted(replace(good, answer=good.answer.replace(f"[{marker}]", "[9]")))
    silent = next(sample for sample in made.samples if sample.kind == answering.SILENCE)
    assert misquoted(replace(silent, answer="I know nothing."))
    assert misquoted(replace(silent, chunk_ids=(silent.passages[0].chunk_id,)))
    own = next(sample for sample in made.samples if not sample.passages)
    assert misquoted(own) is None


def test_a_side_of_one_document_has_no_answers_from_passages() -> None:
    made = instruct.build("me", essays(1))
    assert made.samples
    assert not any(sample.passages for sample in made.samples), "there is no other document to stand beside it"
    assert made.dropped["no_distractor"]


def test_a_sample_without_room_loses_sentences_that_it_does_not_quote() -> None:
    samples = instruct.build("me", essays()).split("train")
    for kind in (answering.ANSWER, answering.SILENCE):
        sample = next(each for each in samples if each.kind == kind)
        cut = answering.shorter(sample, 24)
        assert misquoted(cut) is None
        assert (cut.answer, cut.chunk_ids) == (sample.answer, sample.chunk_ids)
        for before, after in zip(sample.passages, cut.passages, strict=True):
            assert after.text in before.text
            assert after.text.endswith("."), "whole sentences"
            quoted = len(sample.answer.split()) if before.chunk_id == sample.chunk_ids[0] else 0
            assert len(after.text.split()) <= max(24, quoted) < len(before.text.split())
    free = replace(next(each for each in samples if each.kind == answering.ANSWER), answer="In other words. [1]")
    right = [each.chunk_id for each in free.passages].index(free.chunk_ids[0])
    assert answering.shorter(free, 24).passages[right] == free.passages[right], "all of it may be what it says"
