"""Verifiers: each says of texts how much they look like the author's, by one kind of trait.

A verifier is made from an author's texts and those of the reference population, and gives one number a text, which
means nothing by itself; :mod:`twin_resources.style.combination` makes probabilities of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from twin_resources.style.grammar_model import GrammarModel
from twin_resources.style.reference import Group, Texts

Take = Callable[[Texts], np.ndarray]


class Verifier(Protocol):
    """What one kind of trait says of texts."""

    def score(self, texts: Texts) -> np.ndarray:
        """One number a text, higher where it looks more like the author's, shape ``(texts,)``."""
        ...


@dataclass(frozen=True)
class Voice:
    """A kind of verifier: its name, whether it is blind to the topic, and how one is made from texts of the author and
    the population. ``needs_vectors`` says whether it needs an embedding model."""

    name: str
    masked: bool
    make: Callable[[Texts, Group], Verifier]
    needs_vectors: bool = False


def frequencies(counts: np.ndarray) -> np.ndarray:
    """Square roots of relative frequencies, which spread alike for rare and common traits, shape as ``counts``."""
    found = counts.astype(np.float32)
    return np.sqrt(found / np.maximum(found.sum(axis=1, keepdims=True), 1.0))


class Linear:
    """A ridge classifier between the author and the population over standardised frequencies; both weigh the same."""

    def __init__(self, own: np.ndarray, others: np.ndarray, strength: float) -> None:
        self._mean, self._spread = others.mean(axis=0), others.std(axis=0) + 1e-3
        rows = self._standard(np.concatenate((own, others)))
        truth = np.concatenate((np.ones(len(own)), -np.ones(len(others)))).astype(np.float32)
        weight = np.concatenate((np.full(len(own), 0.5 / len(own)), np.full(len(others), 0.5 / len(others))))
        kernel = (rows @ rows.T + 1.0).astype(np.float64)
        dual = np.linalg.solve(kernel + strength * np.diag(1.0 / (weight * len(rows))), truth)
        self._weights = (rows.T @ dual).astype(np.float32)
        self._bias = float(dual.sum())

    def _standard(self, rows: np.ndarray) -> np.ndarray:
        found = np.clip((rows - self._mean) / self._spread, -4, 4)
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)

    def score(self, rows: np.ndarray) -> np.ndarray:
        """The signed distance of each row."""
        return self._standard(rows) @ self._weights + self._bias


class Frequencies:
    """A linear verifier over one kind of counts or vectors."""

    def __init__(self, own: Texts, population: Group, take: Take, strength: float = 0.1) -> None:
        self._take = take
        self._linear = Linear(take(own), take(population.long), strength)

    def score(self, texts: Texts) -> np.ndarray:
        """See :class:`Verifier`."""
        return self._linear.score(self._take(texts))


class GeneralImpostors:
    """The share of random halves of the traits in which the author is nearest, each rank counting (Koppel and Winter
    2014, "Determining if two documents are written by the same author"; ranks as Seidman 2013). Profiles are means of
    few texts drawn anew each time; near is the cosine of standardised frequencies, Burrows's Delta in its cosine form.
    """

    TRIALS = 40
    DRAWN = 8
    SEED = 7

    def __init__(self, own: Texts, population: Group, take: Take) -> None:
        self._take = take
        dice = np.random.default_rng(self.SEED)
        own_rows, others = take(own), take(population.long)
        self._mean, self._spread = others.mean(axis=0), others.std(axis=0) + 1e-3
        own_rows, others = self._standard(own_rows), self._standard(others)
        members = [np.flatnonzero(population.authors == number) for number in np.unique(population.authors)]
        traits = others.shape[1]
        trials = []
        for _ in range(self.TRIALS):
            half = np.zeros(traits, np.float32)
            half[dice.permutation(traits)[: traits // 2]] = 1.0
            impostors = [self._profile(others, rows, dice) for rows in members]
            mine = self._profile(own_rows, np.arange(len(own_rows)), dice)
            profiles = np.stack([mine, *impostors]) * half
            trials.append(profiles / np.linalg.norm(profiles, axis=1, keepdims=True))
        self._profiles = np.concatenate(trials).T.astype(np.float32)

    def _profile(self, rows: np.ndarray, among: np.ndarray, dice: np.random.Generator) -> np.ndarray:
        return rows[dice.choice(among, min(self.DRAWN, len(among)), replace=False)].mean(axis=0)

    def _standard(self, rows: np.ndarray) -> np.ndarray:
        return np.clip((rows - self._mean) / self._spread, -4, 4)

    def score(self, texts: Texts) -> np.ndarray:
        """See :class:`Verifier`."""
        near = (self._standard(self._take(texts)) @ self._profiles).reshape(len(texts), self.TRIALS, -1)
        return (1.0 / (1 + (near[:, :, 1:] > near[:, :, :1]).sum(axis=2))).mean(axis=1)


class LambdaG:
    """How much likelier the author's grammar makes a text than others' grammars do, by the token (Nini et al. 2024,
    "Grammar as a behavioral biometric"). Each of the other grammars is learned from as much text as the author's."""

    DRAWS = 4
    SEED = 11

    def __init__(self, own: Texts, population: Group) -> None:
        dice = np.random.default_rng(self.SEED)
        self._own = GrammarModel(own.traits.windows)
        wanted = len(own.traits.windows)
        traits = population.long.traits
        sizes = np.diff(traits.ends, prepend=0)
        self._others = []
        for _ in range(self.DRAWS):
            order = dice.permutation(len(traits))
            count = int(np.searchsorted(np.cumsum(sizes[order]), wanted)) + 1
            self._others.append(GrammarModel(traits.take(np.sort(order[:count])).windows))

    def score(self, texts: Texts) -> np.ndarray:
        """See :class:`Verifier`."""
        windows = texts.traits.windows
        others = sum(model.log_probabilities(windows) for model in self._others) / len(self._others)
        ratio = self._own.log_probabilities(windows) - others
        total = np.bincount(texts.traits.text_of_window(), ratio, len(texts))
        return total / np.maximum(np.diff(texts.traits.ends, prepend=0), 1)


class Fluency:
    """How likely a text is in everybody's grammar, by the token. It tells no author, but words in disorder."""

    def __init__(self, own: Texts, population: Group) -> None:
        self._model = GrammarModel(population.long.traits.windows)

    def score(self, texts: Texts) -> np.ndarray:
        """See :class:`Verifier`."""
        found = self._model.log_probabilities(texts.traits.windows)
        total = np.bincount(texts.traits.text_of_window(), found, len(texts))
        return total / np.maximum(np.diff(texts.traits.ends, prepend=0), 1)


def _plain(texts: Texts) -> np.ndarray:
    return frequencies(texts.traits.plain)


def _masked(texts: Texts) -> np.ndarray:
    return frequencies(texts.traits.masked)


def _function(texts: Texts) -> np.ndarray:
    return frequencies(texts.traits.function)


def _vectors(texts: Texts) -> np.ndarray:
    assert texts.vectors is not None
    return texts.vectors


VOICES = (
    Voice("character n-grams", False, lambda own, population: Frequencies(own, population, _plain)),
    Voice("character n-grams, masked", True, lambda own, population: Frequencies(own, population, _masked)),
    Voice("function words", True, lambda own, population: Frequencies(own, population, _function)),
    Voice("General Impostors", False, lambda own, population: GeneralImpostors(own, population, _plain)),
    Voice("General Impostors, masked", True, lambda own, population: GeneralImpostors(own, population, _masked)),
    Voice("LambdaG", True, LambdaG),
    Voice("embedding", False, lambda own, population: Frequencies(own, population, _vectors), needs_vectors=True),
)

FLUENCY = Voice("fluency", True, Fluency)
"""No voice of the author's: it guards the order of words."""
