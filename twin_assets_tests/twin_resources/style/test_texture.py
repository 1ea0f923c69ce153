"""What a writer is told of a draft."""

from __future__ import annotations

import functools

import numpy as np

from twin_assets_tests.support.prose import essay_texts, mira_texts
from twin_resources.style.texture import HABITS, habits_of, remarks


@functools.cache
def own() -> np.ndarray:
    return np.array([found for text in mira_texts() if (found := habits_of(text)) is not None])


def test_one_of_her_own_texts_gives_hardly_any_remark() -> None:
    others = np.delete(own(), 2, axis=0)
    assert len(remarks(mira_texts()[2], others)) <= 3


def test_a_draft_of_questions_is_told_so_and_figures_stand_beside() -> None:
    draft = "Why would anyone read the gauge at night when it rains on the pier? " * 12
    said = {remark.habit: remark for remark in remarks(draft, own())}
    assert said["questions"].draft == 1.0
    assert "you ask more questions: 100% of the sentences, where yours mostly have" in said["questions"].text


def test_too_even_is_remarked_as_too_uneven_is() -> None:
    even = "I went to the pier and read the gauge again. " * 20
    said = {remark.habit: remark.text for remark in remarks(even, own())}
    assert "all of much the same length" in said["sentence variety"]
    uneven = ("Never. " + "I went to the pier and then " * 15 + "home. ") * 4
    assert "vary more" in {each.habit: each.text for each in remarks(uneven, own())}["sentence variety"]


def test_too_short_a_text_has_no_texture() -> None:
    assert habits_of("A few words.") is None
    assert remarks("A few words.", own()) == []
    found = habits_of(essay_texts(1)[0])
    assert found is not None
    assert len(found) == len(HABITS)
