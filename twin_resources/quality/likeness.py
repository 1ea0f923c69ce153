"""Which samples say the same: word for word, nearly, or in other words.

Near-duplicates are found by MinHash over word 3-grams (:mod:`twin_resources.text.candidates`), and their resemblance is
computed exactly. For what says the same in other words or another order, content words weighted by TF-IDF are put into
:data:`DIMENSIONS` numbers (count sketch, Charikar et al. 2002), all pairs of which are compared; a pair near enough is
weighed exactly, and by an embedding model where there is one.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from twin_resources.quality.samples import Sample, Spool
from twin_resources.quality.sources import normal
from twin_resources.rag.silence import is_saying
from twin_resources.retrieval.embedder import Encode
from twin_resources.text.candidates import PERMUTATIONS, Signatures, candidates, signature
from twin_resources.text.sentences import MARKER
from twin_resources.text.words import content_words, grams, plain_words

Kind = Literal["exact", "near", "meaning"]

NEAR = 0.5
"""Resemblance in word 3-grams from which on two samples are near-duplicates."""
SAME_WORDS = 0.75
"""Cosine of TF-IDF over content words from which on two samples say the same."""
REWORDED = 0.55
"""The same, where the two share :data:`_RUNS` of their word 3-grams as well: what is put into another order and partly
into other words keeps runs of words, and what is only about the same thing does not."""
_RUNS = 0.2
SAME_MEANING = 0.86
"""Cosine of their embeddings, for two whose TF-IDF cosine is :data:`_WORTH` or more."""
_WORTH = 0.4
DIMENSIONS = 256
_NOISE = 0.1
"""What the sketch may take from a cosine."""
ALONE = 12
"""An answer of fewer words is compared together with its instruction."""
_FEWEST_STEMS = 6
_FEW = 2000
"""Up to so many samples every pair of signatures is compared."""
_AGREED = 0.33
"""Of two signatures' values, those equal at least: a pair at :data:`NEAR` has fewer once in ten thousand times."""
_ROWS, _COLUMNS = 1024, 8192
_MOST = 20
"""Candidates kept of each sample."""
_BINS = 1 << 22
_PAGE = 256


@dataclass(frozen=True)
class Pair:
    """Rows of two samples, the earlier one first, how alike they are, and in what."""

    first: int
    second: int
    kind: Kind
    share: float


def from_passages(sample: Sample) -> bool:
    """Whether a sample teaches to answer from passages, which is something else than the same words without."""
    return bool(sample.context) or MARKER.search(sample.answer) is not None


def said(sample: Sample) -> str:
    """What a sample teaches, as it is compared: its answer, with the instruction where that is short; of silence, the
    instruction alone."""
    if sample.silent or is_saying(sample.answer.strip()):
        return normal(sample.instruction)
    answer = normal(sample.answer)
    if len(answer.split()) < ALONE:
        return f"{normal(sample.instruction)}\n{answer}"
    return answer


class Likeness:
    """What is kept of samples until their likeness is asked for: 1 kB each on disk, some 300 bytes in memory.

    Use it in a ``with`` statement, and add the samples in the order of their rows.
    """

    def __init__(self) -> None:
        self._signatures = Signatures()
        self._signed, self._sizes = array("I"), array("I")
        self._digests: dict[bytes, int] = {}
        self._exact: list[Pair] = []
        self._paraphrases: set[int] = set()
        self._stems, self._ends = array("I"), array("Q", [0])
        self._rows = 0

    def __enter__(self) -> Likeness:
        return self

    def __exit__(self, *_: object) -> None:
        self._signatures.__exit__()

    def add(self, sample: Sample) -> None:
        """Add the sample of the next row."""
        text, row = said(sample), self._rows
        self._rows += 1
        if sample.paraphrase:
            self._paraphrases.add(row)
        words = " ".join(plain_words(text))
        digest = hashlib.blake2b(f"{from_passages(sample)}{words}".encode(), digest_size=12).digest()
        first = self._digests.setdefault(digest, row)
        if first != row:
            self._exact.append(Pair(first, row, "exact", 1.0))
            self._ends.append(len(self._stems))
            return
        if sample.silent or is_saying(sample.answer.strip()):
            self._ends.append(len(self._stems))
            return  # what is asked in vain is alike only where it is the same
        if found := grams(text, 3):
            self._signatures.add(signature(tuple(found)))
            self._signed.append(row)
            self._sizes.append(len(found))
        self._stems.extend(sorted(int.from_bytes(_digest(stem)) for stem in content_words(text)))
        self._ends.append(len(self._stems))

    def pairs(self, spool: Spool, encode: Encode | None = None) -> Iterator[Pair]:
        """Pairs of samples that say the same. Of word-for-word repeats only the first is compared further, and one that
        is marked as its paraphrase, of the same split and with another instruction, is no repeat.

        Args:
            spool: where the samples can be read again, by the rows they were added in.
            encode: embeds texts; without it only words decide.
        """
        yield from self._repeats(spool)
        near = set()
        for pair in self._near(spool):
            near.add((pair.first, pair.second))
            yield pair
        yield from self._meaning(spool, near, encode)

    def _repeats(self, spool: Spool) -> Iterator[Pair]:
        said_otherwise: set[int] = set()
        for pair in self._exact:
            marked = (pair.first in self._paraphrases) != (pair.second in self._paraphrases)
            if marked and pair.first not in said_otherwise and spool.splits[pair.first] == spool.splits[pair.second]:
                first, second = (plain_words(spool[row].instruction) for row in (pair.first, pair.second))
                if first != second:
                    said_otherwise.add(pair.first)
                    continue
            yield pair

    def _near(self, spool: Spool) -> Iterator[Pair]:
        if len(self._signed) < 2:
            return
        rows, sizes = np.frombuffer(self._signed, np.uint32), np.frombuffer(self._sizes, np.uint32)
        if len(rows) <= _FEW:
            found = rows[_agreeing(self._signatures)]
        else:
            found = rows[candidates(self._signatures, sizes, lambda smaller, _: np.full(len(smaller), NEAR))]
        held: dict[int, tuple[bool, frozenset[int]]] = {}
        for first, second in np.sort(found, axis=1)[np.lexsort((found.max(axis=1), found.min(axis=1)))]:
            if len(held) > _PAGE:
                held.clear()
            for row in (int(first), int(second)):
                if row not in held:
                    sample = spool[row]
                    held[row] = from_passages(sample), grams(said(sample), 3)
            (one, mine), (other, theirs) = held[int(first)], held[int(second)]
            share = len(mine & theirs) / max(1, len(mine | theirs))
            if one == other and share >= NEAR:
                yield Pair(int(first), int(second), "near", round(share, 3))

    def _meaning(self, spool: Spool, known: set[tuple[int, int]], encode: Encode | None) -> Iterator[Pair]:
        bag = _Bag(np.frombuffer(self._stems, np.uint32), np.frombuffer(self._ends, np.uint64).astype(np.int64))
        worth = _WORTH if encode else REWORDED
        page: list[tuple[int, int, float]] = []
        for first, second in bag.close(worth - _NOISE):
            share = bag.cosine(first, second)
            if share >= worth and (first, second) not in known:
                page.append((first, second, share))
            if len(page) >= _PAGE:
                yield from self._weighed(page, spool, encode)
                page = []
        yield from self._weighed(page, spool, encode)

    def _weighed(self, page: Sequence[tuple[int, int, float]], spool: Spool, encode: Encode | None) -> Iterator[Pair]:
        samples = {row: spool[row] for row in sorted({row for pair in page for row in pair[:2]})}
        page = [pair for pair in page if from_passages(samples[pair[0]]) == from_passages(samples[pair[1]])]
        texts = {row: said(sample) for row, sample in samples.items()}
        sure = {pair for pair in page if pair[2] >= SAME_WORDS or (pair[2] >= REWORDED and _runs(texts, pair) >= _RUNS)}
        vectors: dict[int, np.ndarray] = {}
        unsure = sorted({row for pair in page if pair not in sure for row in pair[:2]})
        if encode and unsure:
            vectors = dict(zip(unsure, encode([texts[row] for row in unsure]), strict=True))
        for first, second, share in page:
            if (first, second, share) in sure:
                yield Pair(first, second, "meaning", round(share, 3))
            elif vectors and (cosine := float(vectors[first] @ vectors[second])) >= SAME_MEANING:
                yield Pair(first, second, "meaning", round(cosine, 3))


def _runs(texts: Mapping[int, str], pair: tuple[int, int, float]) -> float:
    """The resemblance of two texts in word 3-grams."""
    one, other = (grams(texts[row], 3) for row in pair[:2])
    return len(one & other) / max(1, len(one | other))


def _agreeing(signatures: Signatures) -> np.ndarray:
    """All pairs of few sets whose signatures agree in :data:`_AGREED` of their values or more, shape ``(pairs, 2)``."""
    values = np.stack([signatures.column(number) for number in range(PERMUTATIONS)], axis=1)
    found = [np.empty((0, 2), np.int64)]
    for row in range(len(values) - 1):
        alike = np.flatnonzero((values[row + 1 :] == values[row]).mean(axis=1) >= _AGREED) + row + 1
        found.append(np.stack([np.full(len(alike), row), alike], axis=1))
    return np.concatenate(found)


class _Bag:
    """Content words of every sample, weighted."""

    def __init__(self, stems: np.ndarray, ends: np.ndarray) -> None:
        self._stems, self._ends = stems, ends
        counts = np.bincount(stems % _BINS, minlength=1) if len(stems) else np.zeros(1, np.int64)
        total = max(1, len(ends) - 1)
        self._weights = (np.log((1 + total) / (1 + counts)) + 1).astype(np.float32)

    def _row(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        stems = self._stems[self._ends[row] : self._ends[row + 1]]
        return stems, self._weights[stems % _BINS]

    def cosine(self, first: int, second: int) -> float:
        """The cosine of two samples' weighted words."""
        (one, mine), (other, theirs) = self._row(first), self._row(second)
        _, at, _ = np.intersect1d(one, other, assume_unique=False, return_indices=True)
        length = math.sqrt(float(mine @ mine) * float(theirs @ theirs))
        return float(mine[at] @ mine[at]) / length if length else 0.0

    def close(self, least: float) -> Iterator[tuple[int, int]]:
        """Rows of pairs whose sketches have a cosine of ``least`` or more, at most some of each row."""
        rows = np.flatnonzero(np.diff(self._ends) >= _FEWEST_STEMS)
        vectors = self._sketches(rows)
        for top in range(0, len(rows), _ROWS):
            mine = vectors[top : top + _ROWS].astype(np.float32)
            found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
            for left in range(top, len(rows), _COLUMNS):
                cosines = mine @ vectors[left : left + _COLUMNS].astype(np.float32).T
                low, high = np.nonzero(cosines >= least)
                after = left + high > top + low
                low, high = low[after], high[after]
                found.append((low, left + high, cosines[low, high]))
            low, high, cosines = (np.concatenate(each) for each in zip(*found, strict=True))
            order = np.lexsort((-cosines, low))
            low, high = low[order], high[order]
            rank = np.arange(len(low)) - np.searchsorted(low, low, side="left")
            for one, two in zip(low[rank < _MOST], high[rank < _MOST], strict=True):
                yield int(rows[top + one]), int(rows[two])

    def _sketches(self, rows: np.ndarray) -> np.ndarray:
        found = np.zeros((len(rows), DIMENSIONS), np.float16)
        for index, row in enumerate(rows):
            stems, weights = self._row(int(row))
            mixed = stems * np.uint32(2654435761)
            signs = np.where(mixed >> np.uint32(31), 1.0, -1.0)
            sketch = np.bincount((mixed >> np.uint32(8)) % DIMENSIONS, signs * weights, DIMENSIONS)
            found[index] = sketch / max(1e-9, float(np.linalg.norm(sketch)))
        return found


def _digest(stem: str) -> bytes:
    return hashlib.blake2b(stem.encode(), digest_size=4).digest()
