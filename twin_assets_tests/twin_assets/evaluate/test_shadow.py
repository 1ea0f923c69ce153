"""How a candidate answers what readers asked, with tiny models that say one sentence each."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from twin_assets.evaluate import job, pages
from twin_assets.evaluate.shadow import Judged, Posed, compare, hearing, judge, pose
from twin_assets_tests.support.prose import documents, few_impostors, mira_texts
from twin_assets_tests.support.site import QUESTION, add_adapter
from twin_assets_tests.support.tiny_models import FIRST, SECOND, TinyModels
from twin_resources.config.settings import Settings
from twin_resources.rag.pipeline import Rag
from twin_resources.rag.silence import saying
from twin_resources.retrieval.embedder import Embedder
from twin_resources.storage.calls.interactions import Interactions, Outcome
from twin_resources.storage.calls.shadows import Logged, Shadows


def unheard(_: str) -> None:
    return None


@pytest.fixture
def database(settings: Settings, seed: Callable[[Settings], sa.Engine]) -> sa.Engine:
    return seed(settings)


@pytest.fixture
def posed(settings: Settings, database: sa.Engine, embedder: Embedder) -> Posed:
    question = "What do you never do in the log, and what do you do then?"
    (found,) = pose(Rag(settings, database, embedder), "ada", [Logged("t", question, "generate", "t")])
    return found


def test_an_answer_is_judged_by_the_passages_and_saying_nothing_is_silence(posed: Posed) -> None:
    assert any(FIRST in each.text for each in posed.passages)
    assert judge(posed, FIRST, unheard) == Judged(1.0, 0.0, None)
    assert judge(posed, f"{FIRST} {SECOND}", unheard) == Judged(0.5, 0.0, None)
    for nothing in ("", saying("en"), "What do you never do in the log."):
        assert judge(posed, nothing, unheard) == Judged(None, 1.0, None)


def test_only_a_model_that_answered_from_passages_is_given_them_again(posed: Posed) -> None:
    free = Posed(Logged("t", posed.logged.question, "write", "t"), posed.passages)
    assert FIRST in posed.turns("Ada Berg")[-1]["content"]
    assert FIRST not in free.turns("Ada Berg")[-1]["content"]


def test_the_authors_own_text_sounds_more_like_them_than_anothers_and_too_short_a_text_is_not_heard() -> None:
    own = documents(mira_texts())
    hear, why = hearing("mira", own[6:], few_impostors())
    assert why == ""
    mine, others = hear(own[0].text), hear(statistics.__doc__ or "")
    assert mine is not None
    assert others is not None
    assert mine > 0.5 > others
    assert hear("Too short.") is None
    deaf, why = hearing("mira", own[:1], few_impostors())
    assert "too little to know a style" in why
    assert deaf(own[0].text) is None


def test_questions_of_one_conversation_count_as_one() -> None:
    logged = [Logged(f"t{number}", "Why?", "write", f"talk {number // 4}") for number in range(8)]
    mine = [Judged(1.0, 0.0, 0.9 if number < 4 else None) for number in range(8)]
    theirs = [Judged(0.5 if number < 4 else 0.9, float(number == 7), 0.4) for number in range(8)]
    found = compare(logged, mine, theirs)
    assert found["support"] == {
        "candidate": 1.0, "champion": 0.7, "questions": 8, "conversations": 2, "difference": 0.3,
        "low": pytest.approx(0.1), "high": pytest.approx(0.5),
    }  # fmt: skip
    assert (found["silence"]["difference"], found["silence"]["champion"]) == (-0.125, 0.125)
    assert (found["style"]["questions"], found["style"]["conversations"], found["style"]["low"]) == (4, 1, 0.5)
    assert compare(logged, [Judged(None, 1.0, None)] * 8, theirs).keys() == {"silence"}


def test_the_job_asks_both_and_keeps_what_they_say_with_the_calls(
    settings: Settings, database: sa.Engine, tiny: TinyModels, tmp_path: Path
) -> None:
    calls, said = Interactions(database), []
    folders = {"ada-1": str(tiny.second), "ada-2": str(tiny.first)}
    for version, folder in folders.items():
        add_adapter(settings, database, version, Path(folder))
    asked = (("t1", "What do you never do in the log?"), ("t2", QUESTION))
    for trace, query in asked:
        calls.record(trace, author="ada", call="ask", query=query, answer="So.", outcome=Outcome("write"))
    extras = {
        "author": "ada", "author_name": "Ada Berg", "base": "tiny", "base_folder": str(tiny.base),
        "adapters": folders, "candidate": "ada-2", "champion": "ada-1", "traces": ["t1", "t2", "gone"],
    }  # fmt: skip
    context: Any = SimpleNamespace(get_extra=extras.__getitem__, log=SimpleNamespace(info=said.append))
    figures = job.shadow(context, settings)
    assert (figures["candidate"], figures["champion"], figures["questions"]) == ("ada-2", "ada-1", 2)
    assert said == [f"{version} answered 2 questions that readers asked" for version in ("ada-2", "ada-1")]
    assert "too little to know a style" in figures["unheard"]
    assert figures["measures"]["silence"]["candidate"] == 0.0
    assert figures["measures"]["support"]["difference"] > 0, "the candidate says a sentence of Ada's, the champion not"
    kept = {each.trace_id: each for each in Shadows(database).of("ada", "ada-2", 9)}
    assert {(each.answer, each.beside, each.answer_beside) for each in kept.values()} == {(FIRST, "ada-1", SECOND)}
    assert [each for _, each in asked if each in str(figures)] == [], "figures stay, and what was asked does not"
    pages.write_shadow(tmp_path, figures, "Ada Berg")
    page = (tmp_path / "report.html").read_text()
    assert "2 questions that readers asked" in page
    assert FIRST not in page
