"""What a candidate makes of the questions that readers asked, beside the champion; no reader gets its answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twin_assets.evaluate.style import interval
from twin_resources.generation.base import Generator, written
from twin_resources.rag import policy, prompt
from twin_resources.rag.citations import checked_sentences, tells
from twin_resources.rag.echo import without_echo
from twin_resources.rag.pipeline import Rag
from twin_resources.rag.silence import is_saying
from twin_resources.retrieval.embedder import Encode
from twin_resources.storage.calls.shadows import Logged
from twin_resources.storage.clean_store import CleanDocument
from twin_resources.style.profile import DraftError, StyleError, build
from twin_resources.style.prose import SHORT
from twin_resources.style.reference import Reference
from twin_resources.style.scoring import Scorer

CODE_VERSION = "1"
MEASURES = ("support", "silence", "style")
_PASSAGES = 6

Hear = Callable[[str], float | None]
"""How much a text sounds like the author, in [0, 1]; None where that cannot be told."""


@dataclass(frozen=True)
class Judged:
    """One answer: the share of its sentences that the passages support, None where it tells nothing; whether it tells
    nothing, 0 or 1; and how much it sounds like the author, None where that cannot be told."""

    support: float | None
    silence: float
    style: float | None


@dataclass(frozen=True)
class Posed:
    """A logged question with the passages found for it now."""

    logged: Logged
    passages: Sequence[prompt.Passage]

    def turns(self, name: str) -> list[dict[str, str]]:
        """What a model is given: the passages where it answered from them, none where it wrote freely.

        Args:
            name: the author's.
        """
        return prompt.messages(
            self.logged.question, self.passages if self.logged.mode == "generate" else (), author=name
        )


def pose(rag: Rag, author: str, logged: Sequence[Logged]) -> list[Posed]:
    """Search for each question as it is searched for when a reader asks it."""
    return [
        Posed(each, rag.context(policy.look(rag, author, each.question, weigh=False).found.hits[:_PASSAGES],
                                question=each.question))
        for each in logged
    ]  # fmt: skip


def answer(
    generator: Generator, posed: Sequence[Posed], *, name: str, version: str | None, max_tokens: int
) -> list[str]:
    """The likeliest answer of a version to each question."""
    made = written(generator, [each.turns(name) for each in posed], version=version, max_tokens=max_tokens)
    return [without_echo(each.logged.question, text.text) for each, text in zip(posed, made, strict=True)]


def judge(posed: Posed, text: str, hear: Hear) -> Judged:
    """What one answer is worth. To say that nothing was written, or no more than the question, tells nothing."""
    made = [each for each in checked_sentences(text, posed.passages) if tells(each.text, posed.logged.question)]
    supported = [each.supported for each in made if not is_saying(each.text.strip())]
    share = sum(supported) / len(supported) if supported else None
    return Judged(share, float(not supported), hear(text))


def hearing(
    author: str, documents: Sequence[CleanDocument], reference: Reference, encode: Encode | None = None
) -> tuple[Hear, str]:
    """How much texts sound like an author, and why that cannot be told, empty where it can."""
    try:
        scorer = Scorer(build(author, "", documents, reference, encode), reference, encode=encode)
    except StyleError as error:
        return (lambda _: None), str(error)
    worth = scorer.worth(SHORT)
    if not worth.counts:
        return (lambda _: None), f"verifiers do not tell the author from others well enough (AUC {worth.auc:.2f})"

    def hear(text: str) -> float | None:
        try:
            return scorer.score(text).score
        except DraftError:
            return None

    return hear, ""


def compare(logged: Sequence[Logged], mine: Sequence[Judged], theirs: Sequence[Judged]) -> dict[str, Any]:
    """A candidate beside the champion, measure by measure, on the questions where both can be judged.

    Questions of one conversation go together, so it is conversations that vary: the mean difference of each is one
    value, and the 95% interval of their mean is bootstrapped (Efron 1979).

    Returns:
        For each of :data:`MEASURES` that can be compared the means of both, over how many ``questions`` and
        ``conversations``, and the ``difference``, candidate less champion, with its interval from ``low`` to ``high``.
    """
    found: dict[str, Any] = {}
    for measure in MEASURES:
        pairs = [
            (each.conversation, own, other)
            for each, judged, beside in zip(logged, mine, theirs, strict=True)
            if (own := getattr(judged, measure)) is not None and (other := getattr(beside, measure)) is not None
        ]
        if not pairs:
            continue
        by_conversation: dict[str, list[float]] = {}
        for conversation, own, other in pairs:
            by_conversation.setdefault(conversation, []).append(own - other)
        differences = np.array([np.mean(each) for each in by_conversation.values()])
        low, high = interval(differences)
        found[measure] = {
            "candidate": round(float(np.mean([own for _, own, _ in pairs])), 4),
            "champion": round(float(np.mean([other for _, _, other in pairs])), 4),
            "questions": len(pairs),
            "conversations": len(differences),
            "difference": round(float(differences.mean()), 4),
            "low": low,
            "high": high,
        }
    return found
