"""Whether good texts score well and bad ones badly."""

from __future__ import annotations

import functools

import pytest

from twin_assets_tests.support.prose import FOREIGN, documents, few_impostors, mira, mira_texts
from twin_resources.style.profile import DraftError
from twin_resources.style.prose import disordered, sentences_of
from twin_resources.style.scoring import Near, Scorer


@functools.cache
def scorer() -> Scorer:
    return Scorer(mira(), few_impostors())


def test_her_own_text_scores_well_when_it_is_held_out_and_its_document_is_named() -> None:
    own = mira_texts()[1]
    verdict = scorer().score(own, documents(mira_texts()))
    assert [source.title for source in verdict.sources] == ["Text 1"]
    assert verdict.score > 0.7
    assert verdict.percentile > 0.1
    assert verdict.measure.counts


def test_another_author_scores_badly() -> None:
    verdict = scorer().score(FOREIGN, documents(mira_texts()))
    assert verdict.sources == ()
    assert verdict.score < 0.2
    assert verdict.percentile < 0.1
    assert verdict.remarks


def test_her_words_in_disorder_score_badly() -> None:
    text = " ".join(sentences_of(mira_texts()[1]))
    assert scorer().score(disordered(text, 1)).score < 0.35


def test_sentences_of_somebody_else_stand_out_and_carry_the_nearest_passage() -> None:
    own = " ".join(sentences_of(mira_texts()[1])[:14])
    foreign = " ".join(sentences_of(FOREIGN))
    near = Near("Tides", "https://mira.example/t", "A tide.", 0.5)
    draft = f"{own}\n\n{foreign}"
    verdict = scorer().score(draft, documents(mira_texts()), lambda sentence: near)
    assert all(draft[each.start : each.end].startswith(each.text[:10]) for each in verdict.sentences)
    assert verdict.sentences[2].score > verdict.sentences[-2].score + 0.3
    assert verdict.sentences[0].nearest == near


def test_a_draft_that_is_too_short_is_refused_with_a_remedy() -> None:
    with pytest.raises(DraftError, match=r"50 are needed.*score a longer text"):
        scorer().score("Too few words. ```\n" + "code " * 100 + "\n```")
