"""How the twin answers: asks it questions whose answer is known, through the policy that serves.

No Dagster and no HTTP: a :class:`~twin_resources.rag.pipeline.Rag` and a generator are asked directly.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twin_assets.evaluate.questions import Question
from twin_resources.generation.base import Generator, written
from twin_resources.rag import policy, prompt
from twin_resources.rag.answer import Answer, evidence
from twin_resources.rag.citations import checked_sentences, tells
from twin_resources.rag.pipeline import Rag
from twin_resources.rag.policy import Choice, Looked
from twin_resources.rag.silence import is_saying, threshold
from twin_resources.retrieval.sentences import Sentences

CODE_VERSION = "4"
ANSWERED = 0.75
"""The share of questions that a model must answer with something that has support."""
JUDGED = "adapter + passages"
"""The name of the arm that a licence rests on."""
_AT_ONCE = 4
"""Questions after which it is asked again whether a licence can still come."""
_TOKENS = 64
_SHOWN = 10
_QUOTE = Choice("quote", "measured")


@dataclass(frozen=True)
class Asked:
    """A question and what came of it; ``ms`` is the time to the whole quotation, which is that to its first word."""

    question: Question
    answer: Answer
    evidence: float
    documents: tuple[str, ...]
    ms: float

    @property
    def right(self) -> bool:
        """Whether the document that the question was made from is cited."""
        return self.question.document_id in self.documents

    @property
    def opens_right(self) -> bool:
        """Whether the answer opens with words of that document."""
        return self.documents[:1] == (self.question.document_id,)


def looked(rag: Rag, author: str, question: Question) -> Looked:
    """What is found for a question, without the sentence that it was made of."""
    found = policy.look(rag, author, question.text)
    if question.without is None or found.found.vector is None:
        return found
    kept = {key: _without(each, _text(found, key), question.without) for key, each in found.sentences.items()}
    spoken = evidence(found.query, found.found.vector, found.found.hits, kept, unknown=found.evidence.unknown)
    return replace(found, sentences=kept, evidence=spoken)


def _text(found: Looked, chunk_id: str) -> str:
    return next(hit.text for hit in found.found.hits if hit.chunk_id == chunk_id)


def _without(mine: Sentences, text: str, sentence: str) -> Sentences:
    kept = [place for place, unit in enumerate(mine.units) if text[unit.start : unit.end] != sentence]
    return Sentences([mine.units[place] for place in kept], mine.vectors[kept])


def calibrate(
    rag: Rag, author: str, questions: Sequence[Question], refused: float, progress: Callable[[str], None]
) -> dict[str, Any]:
    """The threshold of silence from questions that the author's work answers, and what it does to others.

    Args:
        refused: the share of answerable questions that may be refused, in (0, 1).
    """
    scores: dict[bool, list[float]] = {True: [], False: []}
    answered: list[tuple[float, str]] = []
    for number, question in enumerate(questions):
        score = looked(rag, author, question).evidence.score
        scores[question.document_id is not None].append(round(score, 4))
        if question.document_id is None:
            answered.append((score, question.text))
        if number % 50 == 49:
            progress(f"asked {number + 1} of {len(questions)} questions")
    chosen = threshold(scores[True], refused)
    return {
        "threshold": round(chosen, 4),
        "allowed": refused,
        "answerable": scores[True],
        "elsewhere": scores[False],
        "refused_elsewhere": share([score < chosen for score in scores[False]]),
        "answered_elsewhere": [
            {"evidence": round(score, 3), "question": text}
            for score, text in sorted(answered, reverse=True)
            if score >= chosen
        ],
    }


def ask(rag: Rag, author: str, questions: Sequence[Question], progress: Callable[[str], None]) -> list[Asked]:
    """Ask each question as a reader would without a model that holds a licence."""
    found = []
    for number, question in enumerate(questions):
        start = time.perf_counter()
        seen = looked(rag, author, question)
        answer = policy.settled(rag, author, seen, _QUOTE)
        took = (time.perf_counter() - start) * 1000
        assert answer is not None  # quote mode always settles
        documents = tuple(dict.fromkeys(each.document_id for each in answer.citations))
        found.append(Asked(question, answer, seen.evidence.score, documents, took))
        if number % 50 == 49:
            progress(f"answered {number + 1} of {len(questions)} questions")
    return found


def figures(asked: Sequence[Asked]) -> dict[str, dict[str, Any]]:
    """Figures by kind of question: the share of right documents, of silence and of support, each with its interval."""
    kinds = {}
    for kind in dict.fromkeys(each.question.kind for each in asked):
        mine = [each for each in asked if each.question.kind == kind]
        said = [sentence.supported for each in mine for sentence in each.answer.sentences]
        times = [each.ms for each in mine]
        kinds[kind] = {
            "questions": len(mine),
            "right_document": share([each.right for each in mine]) if mine[0].question.document_id else None,
            "right_first": share([each.opens_right for each in mine]) if mine[0].question.document_id else None,
            "silent": share([each.answer.abstained for each in mine]),
            "support": share(said) if said else None,
            "first_words_ms": [round(float(value), 1) for value in np.percentile(times, [50, 95])],
        }
    return kinds


def shown(asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """Some answers in full: as many that came out wrong as there are, up to half, and others.

    Questions of readers are not among them: they are kept for a while only, and a report stays.
    """
    asked = [each for each in asked if each.question.kind != "rated"]
    right = {id(each): each.right if each.question.document_id else each.answer.abstained for each in asked}
    by_evidence = sorted(asked, key=lambda each: -each.evidence)
    wrong = [each for each in by_evidence if not right[id(each)]][: _SHOWN // 2]
    chosen = [*[each for each in by_evidence if right[id(each)]][: _SHOWN - len(wrong)], *wrong]
    return [
        {
            "kind": each.question.kind,
            "question": each.question.text,
            "answer": each.answer.text,
            "evidence": round(each.evidence, 3),
            "right": right[id(each)],
            "cited": [f"[{cited.marker}] {cited.title} {cited.url}" for cited in each.answer.citations],
        }
        for each in chosen
    ]


@dataclass(frozen=True)
class Arm:
    """Who is measured: an adapter ``version`` or the base, given passages or not. With ``judged`` no more questions are
    asked once no licence can come of it."""

    version: str | None
    passages: bool
    judged: bool = False


def arms(adapter: str) -> dict[str, Arm]:
    """What a licence rests on: models that answer readers are given passages."""
    return {JUDGED: Arm(adapter, passages=True, judged=True)}


def generated(
    rag: Rag,
    author: str,
    name: str,
    generator: Generator,
    measured: Mapping[str, Arm],
    questions: Sequence[Question],
    progress: Callable[[str], None],
) -> dict[str, dict[str, Any]]:
    """Support of what models write, before anything is left out.

    Saying that nothing was written claims nothing, so it counts neither for a model nor against it; nor does a sentence
    that tells nothing beyond the question. How many questions were answered at all says what that leaves.

    Args:
        name: the author's, for the prompt.
        measured: arms by name.

    Returns:
        figures by arm: of ``planned`` questions ``questions`` were put to it.
    """
    found: dict[str, dict[str, Any]] = {}

    @functools.cache
    def passages_for(question: Question) -> Sequence[prompt.Passage]:
        return rag.context(looked(rag, author, question).found.hits[:6], question=question.text)

    for called, arm in measured.items():
        mine: dict[str, Any] = {"supported": 0, "sentences": 0, "answered": 0, "questions": 0}
        mine |= {"planned": len(questions), "answers": []}
        for start in range(0, len(questions), _AT_ONCE):
            if arm.judged and too_few_answers(mine):
                break
            asked = questions[start : start + _AT_ONCE]
            turns = [
                prompt.messages(each.text, passages_for(each) if arm.passages else (), author=name) for each in asked
            ]
            answers = written(generator, turns, version=arm.version, max_tokens=_TOKENS)
            for question, answer in zip(asked, answers, strict=True):
                _count(mine, question, passages_for(question), answer.text)
        outcome = [True] * mine["supported"] + [False] * (mine["sentences"] - mine["supported"])
        mine["support"] = share(outcome)
        if mine["answers"]:
            found[called] = mine
        progress(
            f"{called} was asked {mine['questions']} of {len(questions)} questions and answered {mine['answered']}"
        )
    return found


def _count(mine: dict[str, Any], question: Question, passages: Sequence[prompt.Passage], answer: str) -> None:
    """Add an answer to the figures of an arm."""
    made = [each for each in checked_sentences(answer, passages) if tells(each.text, question.text)]
    supported = [sentence.supported for sentence in made if not is_saying(sentence.text.strip())]
    mine["supported"] += sum(supported)
    mine["sentences"] += len(supported)
    mine["answered"] += any(supported)
    mine["questions"] += 1
    mine["answers"].append({"question": question.text, "answer": answer})


def too_few_answers(mine: Mapping[str, Any]) -> bool:
    """Whether an arm misses :data:`ANSWERED` of the planned questions even if it answers all that it was not asked.

    To stop then changes no verdict, and only a licence is a claim: the error that its interval allows stays the same.
    """
    return mine["answered"] + mine["planned"] - mine["questions"] < ANSWERED * mine["planned"]


def licence(measured: Mapping[str, Any], least: float) -> tuple[bool, str]:
    """Whether a model may answer by itself, and why, from what it wrote with passages.

    Args:
        measured: figures of an arm of :func:`generated`.
        least: what the supported share of its sentences must reach for certain: the lower end of its 95% interval.
    """
    count, supported, low = measured["sentences"], measured["supported"], measured["support"]["low"]
    answered, questions, planned = measured["answered"], measured["questions"], measured["planned"]
    if too_few_answers(measured):
        said = f"it answered {answered} of {questions} questions; {ANSWERED:.0%} are asked for"
        if questions == planned:
            return False, said
        return (
            False,
            f"{said} of {planned}, which the other {planned - questions} cannot make up for; they were not put",
        )
    said = f"{supported} of {count} sentences that tell anything had support, so at least {low:.0%}"
    return low >= least, f"{said}; {least:.0%} are asked for"


def share(outcomes: Sequence[bool]) -> dict[str, float]:
    """A share with its 95% interval (Clopper and Pearson 1934)."""
    if not outcomes:
        return {"share": 0.0, "low": 0.0, "high": 1.0}
    from scipy.stats import binomtest

    interval = binomtest(sum(outcomes), len(outcomes)).proportion_ci(0.95)
    return {
        "share": round(sum(outcomes) / len(outcomes), 4),
        "low": round(float(interval.low), 4),
        "high": round(float(interval.high), 4),
    }
