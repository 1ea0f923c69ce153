"""Whether writing like the author scores well, and anything else badly."""

from __future__ import annotations

import argparse
import copy
import functools
import pdb
import shelve
import statistics
import timeit
from dataclasses import replace
from pathlib import Path
from typing import Any

from twin_assets.dataset.samples import InstructSample, SamplePassage
from twin_assets.evaluate import pages
from twin_assets.evaluate.style import Prompt, Write, blind_pairs, gained, measure, prompts
from twin_assets_tests.support.prose import documents, few_impostors, mira_texts
from twin_resources.style.prose import disordered, word_count

OTHERS = (argparse, copy, pdb, shelve, statistics, timeit)
"""Modules whose authors say at some length what they are for."""
HELD_OUT = len(OTHERS)


def sample(number: int, kind: str = "section", passages: tuple[SamplePassage, ...] = ()) -> InstructSample:
    return InstructSample(
        id=f"{kind}-{number}",
        split="test",
        category="articles",
        kind=kind,
        instruction=f"Write about number {number}.",
        answer="",
        passages=passages,
        document_id=documents(mira_texts())[number].document_id,
        url="",
        chunk_ids=(),
    )


@functools.cache
def asked() -> tuple[Prompt, ...]:
    texts = {each.document_id: each.text for each in documents(mira_texts())}
    found = prompts([sample(number) for number in range(HELD_OUT)], texts, HELD_OUT)
    return tuple(replace(each, instruction=f"{each.instruction} Go on from “{each.sentences[0]}”") for each in found)


@functools.cache
def figures() -> dict[str, Any]:
    own = {each.document_id: each.own for each in asked()}
    writers: dict[str, Write] = {
        "recites": lambda prompts: [own[each.document_id] for each in prompts],
        "somebody else": lambda prompts: [other.__doc__ or "" for other, _ in zip(OTHERS, prompts, strict=False)],
        "in disorder": lambda prompts: [disordered(own[each.document_id], 3) for each in prompts],
        "says nothing": lambda prompts: ["No idea."] * len(prompts),
        "says what was asked": lambda prompts: [f"You asked me: {each.instruction}" for each in prompts],
    }
    return measure("mira", documents(mira_texts()), asked(), few_impostors(), writers)


def test_the_authors_own_text_is_the_measure_and_others_score_badly() -> None:
    arms = figures()["arms"]
    assert figures()["measured"]
    assert arms["the author"]["score"] == 1.0
    assert arms["recites"]["score"] == 1.0
    assert arms["recites"]["copied"] > 0.95
    assert arms["recites"]["longest_copied"] >= 100
    assert arms["in disorder"]["longest_copied"] < 10
    assert arms["somebody else"]["score"] < 0.1
    assert arms["somebody else"]["copied"] < 0.05
    assert arms["somebody else"]["texture"]
    assert arms["in disorder"]["score"] < 0.5
    assert arms["says nothing"]["judged"] == 0
    assert arms["says nothing"]["score"] is None
    rows = {row["who"]: row for row in pages.style_rows(figures())}
    shown = {who: row["texts long enough"] for who, row in rows.items()}
    assert (shown["says nothing"], shown["recites"]) == (f"0 of {len(asked())}", f"{len(asked())} of {len(asked())}")
    assert [rows["says nothing"][each] for each in ("style", "95% interval")] == ["", ""], "nothing lies from 0 to 0"


def test_words_of_the_question_are_not_recited() -> None:
    arms = figures()["arms"]
    assert all(each.sentences[0] in each.instruction for each in asked())
    assert (arms["says what was asked"]["copied"], arms["says what was asked"]["longest_copied"]) == (0.0, 0)


def test_two_writers_are_compared_on_the_same_documents() -> None:
    value, low, high = gained(figures(), "somebody else", "recites") or (0.0, 0.0, 0.0)
    assert low <= value <= high < 0
    assert gained(figures(), "recites", "the author") == (0.0, 0.0, 0.0)
    assert gained(figures(), "says nothing", "recites") is None
    assert gained({"measured": False}, "adapter", "base") is None


def test_a_prompt_is_of_a_document_with_enough_prose_and_shows_no_passages() -> None:
    texts = {each.document_id: each.text for each in documents(mira_texts())[:3]}
    texts[documents(mira_texts())[2].document_id] = "Too short."
    shown = (SamplePassage("t", "x", "c"),)
    samples = [sample(0), sample(0, "opening"), sample(1, passages=shown), sample(2), sample(3)]
    (found,) = prompts(samples, texts, 9)
    assert found.document_id == samples[0].document_id
    assert word_count(found.own) >= 100
    assert prompts([sample(number) for number in range(2)], texts, 1)[0].document_id in texts


def test_a_prompt_neither_shows_the_document_nor_asks_for_code() -> None:
    texts = {each.document_id: each.text for each in documents(mira_texts())}
    assert prompts([sample(0, "summarise"), sample(1, "code")], texts, 5) == []
    (found,) = prompts([sample(0, "summarise"), sample(0)], texts, 5)
    assert found.document_id == sample(0).document_id


def test_what_was_written_stands_beside_the_author_for_readers_to_tell_apart() -> None:
    found = blind_pairs(asked(), lambda prompts: [each.own for each in prompts])
    assert [each.document_id for each in found] == [each.document_id for each in asked()]
    assert [each.instruction for each in found] == [each.instruction for each in asked()]
    others = blind_pairs(asked(), lambda _: [other.__doc__ or "" for other in OTHERS])
    lengths = [(word_count(each.own), word_count(each.written)) for each in others]
    assert lengths
    assert all(max(each) <= 1.1 * min(each) for each in lengths)
    assert blind_pairs(asked(), lambda prompts: ["No idea."] * len(prompts)) == []


def test_too_few_documents_or_words_are_said_and_no_figure_is_made_up(tmp_path: Path) -> None:
    found = measure("mira", documents(mira_texts()), asked()[:3], few_impostors(), {})
    assert not found["measured"]
    assert "3 held-out documents" in found["because"]
    few = [each for each in documents(mira_texts()) if each.document_id in {each.document_id for each in asked()}]
    assert "too little to know a style" in measure("mira", few, asked(), few_impostors(), {})["because"]
    pages.write_style(tmp_path, found, "Mira <b>")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Not measured" in page
    assert "<b>" not in page


def test_the_page_shows_figures_plot_and_texts(tmp_path: Path) -> None:
    pages.write_style(tmp_path, figures(), "Mira")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "somebody else" in page
    assert "data:image/png" in page
    assert "Write about number" in page
