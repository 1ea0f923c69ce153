"""What verifiers are worth for one author, and what their scores mean: measured on texts they never saw.

The author's documents are divided into folds; each is scored by verifiers made from the other folds. Probabilities are
learned from these scores against those of the ``fitting`` impostors, and every figure is measured against the
``measuring`` ones, of whom nothing was learned. The probabilities of a fold come from regressions on the other folds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from twin_resources.style import metrics
from twin_resources.style.combination import Logistic
from twin_resources.style.prose import LONG, SHORT
from twin_resources.style.reference import Group, Reference, Texts
from twin_resources.style.verifiers import FLUENCY, Verifier, Voice

FOLDS = 4
LEAST_AUC, LEAST_C_AT_1 = 0.90, 0.85
COMBINED = "combined"
LENGTHS = (SHORT, LONG)


@dataclass(frozen=True)
class Measure:
    """How well a voice tells the author's texts of about ``words`` words from those of impostors of whom nothing was
    learned; ``masked`` where it is blind to the topic."""

    voice: str
    words: int
    masked: bool
    auc: float
    c_at_1: float
    f_05_u: float

    @property
    def counts(self) -> bool:
        """Whether it is good enough to be listened to."""
        return self.auc >= LEAST_AUC and self.c_at_1 >= LEAST_C_AT_1


@dataclass(frozen=True)
class Scale:
    """From scores to probabilities at one length: for each voice alone, for the topic-blind ones together, and for the
    order of the words. ``held_out`` are the author's own held-out texts by :meth:`score`, lowest first."""

    voices: tuple[Logistic, ...]
    combined: Logistic
    order: Logistic
    held_out: np.ndarray

    def score(self, scores: np.ndarray, fluency: np.ndarray, together: Sequence[int]) -> np.ndarray:
        """The probability that each text is the author's: by its style, and by there being any order in its words."""
        return self.combined.probabilities(scores[:, list(together)]) * self.order.probabilities(fluency[:, None])


@dataclass(frozen=True)
class Calibration:
    """A scale for each of :data:`LENGTHS`, and what every voice is worth at each."""

    scales: tuple[Scale, Scale]
    measures: tuple[Measure, ...]

    def measure(self, voice: str, words: int) -> Measure:
        """What a voice is worth at a length."""
        return next(each for each in self.measures if (each.voice, each.words) == (voice, words))


@dataclass(frozen=True)
class Scored:
    """Scores of held-out texts at one length, each of shape ``(texts, voices)``, and their fluency."""

    own: np.ndarray
    shuffled: np.ndarray
    fitting: np.ndarray
    measuring: np.ndarray
    fluency: np.ndarray
    disorder: np.ndarray
    strange: np.ndarray


def together(voices: Sequence[Voice]) -> list[int]:
    """The places of the voices that are combined: those that are blind to the topic."""
    return [place for place, voice in enumerate(voices) if voice.masked]


def folds_of(documents: np.ndarray) -> np.ndarray:
    """The fold of each text, by its document."""
    return np.unique(documents, return_inverse=True)[1] % FOLDS


def score_all(verifiers: Sequence[Verifier], texts: Texts) -> np.ndarray:
    """What several verifiers say of texts, shape ``(texts, verifiers)``."""
    return np.stack([each.score(texts) for each in verifiers], axis=1)


def calibrate(scored: tuple[Scored, Scored], documents: np.ndarray, voices: Sequence[Voice]) -> Calibration:
    """Scales and measures from the scores at each length; ``documents`` are those of the author's texts."""
    fold = folds_of(documents)
    short, long = (_scale(each, fold, voices, words) for words, each in zip(LENGTHS, scored, strict=True))
    return Calibration((short[0], long[0]), (*short[1], *long[1]))


def cross_score(own: Group, shuffled: Group, reference: Reference, voices: Sequence[Voice]) -> tuple[Scored, Scored]:
    """Scores at each of :data:`LENGTHS` by verifiers that saw neither the document nor the impostor.

    Args:
        own: the author's texts, with their documents as ``authors``; at least :data:`FOLDS` documents.
        shuffled: the same with the words of every sentence in disorder.
    """
    fold = folds_of(own.authors)
    guard = FLUENCY.make(own.long, reference.population)
    of: tuple[Callable[[Group], Texts], ...] = (lambda group: group.short, lambda group: group.long)
    groups = {"own": own, "shuffled": shuffled, "fitting": reference.fitting, "measuring": reference.measuring}
    found = [{name: np.zeros((len(group.authors), len(voices))) for name, group in groups.items()} for _ in of]
    for number in range(FOLDS):
        made = [voice.make(own.long.take(np.flatnonzero(fold != number)), reference.population) for voice in voices]
        for name, group in groups.items():
            inside = fold == number if name in ("own", "shuffled") else np.arange(len(group.authors)) % FOLDS == number
            rows = np.flatnonzero(inside)
            for held, side in zip(found, of, strict=True):
                held[name][rows] = score_all(made, side(group).take(rows))
    short, long = (
        Scored(
            **held,
            fluency=guard.score(side(own)),
            disorder=guard.score(side(shuffled)),
            strange=guard.score(side(reference.measuring)),
        )
        for held, side in zip(found, of, strict=True)
    )
    return short, long


def _scale(scored: Scored, fold: np.ndarray, voices: Sequence[Voice], words: int) -> tuple[Scale, list[Measure]]:
    order = Logistic.fit(scored.fluency[:, None], scored.disorder[:, None])
    columns = [([place], voice.name, voice.masked) for place, voice in enumerate(voices)]
    columns.append((together(voices), COMBINED, True))
    regressions, measures = [], []
    mine = theirs = np.empty(0)
    for places, name, masked in columns:
        mine, theirs = held_out(scored.own[:, places], scored.fitting[:, places], scored.measuring[:, places], fold)
        if name == COMBINED:
            mine = mine * order.probabilities(scored.fluency[:, None])
            theirs = theirs * order.probabilities(scored.strange[:, None])
        figures = (metrics.auc(mine, theirs), metrics.c_at_1(mine, theirs), metrics.f_05_u(mine, theirs))
        measures.append(Measure(name, words, masked, *figures))
        regressions.append(Logistic.fit(scored.own[:, places], scored.fitting[:, places]))
    return Scale(tuple(regressions[:-1]), regressions[-1], order, np.sort(mine)), measures


def held_out(
    own: np.ndarray, fitting: np.ndarray, measuring: np.ndarray, fold: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the author's texts and of the measuring impostors', each by a regression on other folds."""
    mine, theirs = np.zeros(len(own)), np.zeros(len(measuring))
    for number in range(FOLDS):
        found = Logistic.fit(own[fold != number], fitting)
        mine[fold == number] = found.probabilities(own[fold == number])
        theirs[number::FOLDS] = found.probabilities(measuring[number::FOLDS])
    return mine, theirs
