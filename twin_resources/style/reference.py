"""How other people write: figures of public texts by many authors, who are the impostors of every measure.

Their authors are in three groups that never mix: ``population`` is what an author's style is told from, ``fitting``
calibrates, ``measuring`` is what every published figure is measured on. Made by ``benchmarks/impostors.py``; it holds
counts, never texts.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from twin_resources.style.traits import Traits, Vocabulary

POPULATION, FITTING, MEASURING = range(3)
PACKAGED = Path(__file__).with_name("reference.npz")
_SCALE = 127.0


@dataclass(frozen=True)
class Texts:
    """Texts as verifiers see them: their traits, and their vectors where an embedding model is at hand, else None;
    one row a text."""

    traits: Traits
    vectors: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.traits)

    def take(self, rows: np.ndarray) -> Texts:
        """Some of them."""
        return Texts(self.traits.take(rows), None if self.vectors is None else self.vectors[rows])


@dataclass(frozen=True)
class Group:
    """Texts of several authors at both lengths; ``authors`` is the number of the author of each row."""

    short: Texts
    long: Texts
    authors: np.ndarray

    def take(self, rows: np.ndarray) -> Group:
        """Some of them."""
        return Group(self.short.take(rows), self.long.take(rows), self.authors[rows])


@dataclass(frozen=True)
class Reference:
    """The three groups, the n-grams counted in them, the repositories they come from, and the name of the model whose
    vectors they have, empty for none."""

    vocabulary: Vocabulary
    groups: tuple[Group, Group, Group]
    repositories: tuple[str, ...]
    model: str

    @property
    def population(self) -> Group:
        """Those whom an author is told from."""
        return self.groups[POPULATION]

    @property
    def fitting(self) -> Group:
        """Those that calibrate."""
        return self.groups[FITTING]

    @property
    def measuring(self) -> Group:
        """Those that measure."""
        return self.groups[MEASURING]


@functools.cache
def packaged() -> Reference:
    """The reference that this package ships."""
    return load(PACKAGED)


def load(path: Path) -> Reference:
    """A reference from its file."""
    with np.load(path, allow_pickle=False) as file:
        held = {name: file[name] for name in file.files}
    short = Texts(_traits(held, "short"), _vectors(held, "short"))
    rest = _traits(held, "rest")
    every = Group(short, Texts(short.traits.joined(rest), _vectors(held, "long")), held["authors"])
    groups = [every.take(np.flatnonzero(held["groups"] == number)) for number in range(3)]
    vocabulary = Vocabulary(tuple(held["plain"].tolist()), tuple(held["masked"].tolist()))
    repositories = tuple(held["repositories"].tolist())
    return Reference(vocabulary, (groups[0], groups[1], groups[2]), repositories, str(held["model"]))


@dataclass(frozen=True)
class Measured:
    """What goes into a reference: traits of beginnings and of what follows them, vectors of the beginnings and of the
    whole (both may be None), and the author and the group of each row."""

    short: Traits
    rest: Traits
    vectors_short: np.ndarray | None
    vectors_long: np.ndarray | None
    authors: np.ndarray
    groups: np.ndarray


def save(path: Path, measured: Measured, vocabulary: Vocabulary, repositories: tuple[str, ...], model: str) -> None:
    """Write a reference; counts above 255 are cut, and vectors are kept to one part in 127."""
    held: dict[str, np.ndarray] = {
        "plain": np.array(vocabulary.plain),
        "masked": np.array(vocabulary.masked),
        "repositories": np.array(repositories),
        "model": np.array(model),
        "authors": measured.authors.astype(np.uint8),
        "groups": measured.groups.astype(np.uint8),
    }
    for name, traits in (("short", measured.short), ("rest", measured.rest)):
        for count in ("plain", "masked", "function"):
            held[f"{name}_{count}"] = np.minimum(getattr(traits, count), 255).astype(np.uint8)
        held[f"{name}_windows"] = traits.windows.T.copy()
        held[f"{name}_ends"] = traits.ends.astype(np.uint32)
    for name, vectors in (("short", measured.vectors_short), ("long", measured.vectors_long)):
        if vectors is not None:
            held[f"{name}_vectors"] = np.round(vectors * _SCALE).astype(np.int8)
    np.savez_compressed(path, **held)  # pyright: ignore[reportArgumentType]


def _traits(held: dict[str, np.ndarray], name: str) -> Traits:
    values = {each.name: held[f"{name}_{each.name}"] for each in fields(Traits)}
    values["windows"] = values["windows"].T.copy()
    return Traits(**values)


def _vectors(held: dict[str, np.ndarray], name: str) -> np.ndarray | None:
    found = held.get(f"{name}_vectors")
    if found is None:
        return None
    vectors = found.astype(np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
