"""What is held out and stands in training all the same, by words and by meaning (Brown et al. 2020, app. C)."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from twin_resources.quality.likeness import Pair
from twin_resources.quality.samples import BENCHMARK, HELD_OUT, Check, Flag, Sample, Spool
from twin_resources.rag.silence import is_saying
from twin_resources.text.sentences import MARKER
from twin_resources.text.words import gram_sequence

INSTRUCTION = Check("leaked_instruction", "a held-out instruction stands word for word in training")
ANSWER = Check("leaked_answer", "half or more of a held-out answer stands in training")
MEANING = Check("leaked_meaning", "a training sample says what a held-out one says")
HOLDS = Check("holds_held_out", "a training sample repeats a held-out one")
CONTAMINATED = Check("contaminated", "a sample repeats one of a benchmark it is to be measured with")
CHECKS = (INSTRUCTION, ANSWER, MEANING, HOLDS, CONTAMINATED)

LEAK = 0.5
"""A held-out answer that shares more than this of its 5-grams with training text leaks."""
_FEWEST = 2
"""5-grams of a text at least; a shorter one is met by chance."""


@dataclass(frozen=True)
class Leak:
    """Row of a held-out sample, the check it fails, and the row of the training sample that holds it, if one does."""

    held_out: int
    check: Check
    trained: int | None
    share: float = 1.0


def taught(sample: Sample) -> list[int]:
    """5-grams of what a sample teaches, in order; none of one that is silent."""
    return [] if sample.silent or is_saying(sample.answer.strip()) else gram_sequence(MARKER.sub("", sample.answer))


def asked(sample: Sample) -> str:
    """An instruction as it is compared word for word, with the input that belongs to it."""
    return " ".join(sample.instruction.casefold().split()) + ("" if len(sample.context) != 1 else sample.context[0])


class HeldOut:
    """The 5-grams of held-out answers and instructions; training samples are laid over them one after another."""

    def __init__(self, samples: Iterable[tuple[int, Sample]]) -> None:
        hashes, owners = array("q"), array("I")
        self._sizes: list[int] = []
        self._rows: list[int] = []
        self._texts: list[str] = []
        self._instructions: dict[str, list[int]] = {}
        for row, sample in samples:
            for kind in ("answer", "instruction"):
                found = set(taught(sample) if kind == "answer" else gram_sequence(sample.instruction))
                if len(found) < _FEWEST or (kind == "instruction" and sample.split != BENCHMARK):
                    continue
                owners.extend([len(self._rows)] * len(found))
                hashes.extend(found)
                self._rows.append(row)
                self._texts.append(kind)
                self._sizes.append(len(found))
            self._instructions.setdefault(asked(sample), []).append(row)
        every = np.frombuffer(hashes, np.int64) if len(hashes) else np.empty(0, np.int64)
        order = np.argsort(every, kind="stable")
        self._hashes = every[order]
        self._owners = (np.frombuffer(owners, np.uint32) if len(owners) else np.empty(0, np.uint32))[order]
        self._covered = np.zeros(len(every), bool)

    def lay(self, row: int, sample: Sample) -> Iterator[Leak]:
        """The held-out samples that one training sample holds by itself."""
        for held_out in self._instructions.get(asked(sample), ()):
            yield Leak(held_out, INSTRUCTION, row)
        mine = {*taught(sample), *gram_sequence(sample.instruction)} if len(self._hashes) else set()
        wanted = np.fromiter(mine, np.int64, len(mine))
        low = np.searchsorted(self._hashes, wanted, side="left")
        counts = np.searchsorted(self._hashes, wanted, side="right") - low
        if not counts.any():
            return
        inner = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        places = np.repeat(low, counts) + inner
        self._covered[places] = True
        owners, hits = np.unique(self._owners[places], return_counts=True)
        for owner, hit in zip(owners, hits, strict=True):
            if hit > LEAK * self._sizes[owner]:
                check = ANSWER if self._texts[owner] == "answer" else INSTRUCTION
                yield Leak(self._rows[owner], check, row, hit / self._sizes[owner])

    def rest(self) -> Iterator[Leak]:
        """The held-out answers that training holds by all its samples together."""
        covered = np.bincount(self._owners[self._covered], minlength=len(self._rows))
        for owner, row in enumerate(self._rows):
            if self._texts[owner] == "answer" and covered[owner] > LEAK * self._sizes[owner]:
                yield Leak(row, ANSWER, None, float(covered[owner] / self._sizes[owner]))


def find(spool: Spool, pairs: Iterable[Pair]) -> Iterator[Leak]:
    """Held-out and benchmark samples that training holds.

    Args:
        pairs: of samples that say the same.
    """
    outside = [row for row, split in enumerate(spool.splits) if split in (*HELD_OUT, BENCHMARK)]
    if not outside:
        return
    held_out = HeldOut((row, spool[row]) for row in outside)
    for row, split in enumerate(spool.splits):
        if split not in HELD_OUT and split != BENCHMARK:
            yield from held_out.lay(row, spool[row])
    benchmarks = [row for row in outside if spool.splits[row] == BENCHMARK]
    if benchmarks and len(benchmarks) < len(outside):
        others = HeldOut((row, spool[row]) for row in benchmarks)
        for row in outside:
            if spool.splits[row] != BENCHMARK:
                yield from others.lay(row, spool[row])
    yield from held_out.rest()
    for pair in pairs:
        sides = [spool.splits[pair.first], spool.splits[pair.second]]
        for side, row, other in ((0, pair.first, pair.second), (1, pair.second, pair.first)):
            mine, theirs = sides[side], sides[1 - side]
            if (mine in HELD_OUT and theirs not in (*HELD_OUT, BENCHMARK)) or (mine == BENCHMARK != theirs):
                yield Leak(row, MEANING if pair.kind == "meaning" else ANSWER, other, pair.share)


def inspect(spool: Spool, leaks: Iterable[Leak]) -> Iterator[Flag]:
    """Flags for both sides of each leak: the held-out sample, and the training sample that holds it."""
    seen: set[tuple[int, str]] = set()
    for leak in leaks:
        held_out = spool[leak.held_out]
        trained = None if leak.trained is None else spool[leak.trained]
        if held_out.split == BENCHMARK:
            if trained:
                reason = f"{leak.share:.0%} of sample {held_out.index} of the benchmark stand in it"
                yield from _once(seen, Flag(trained.index, CONTAMINATED.name, reason))
            continue
        where = f"training sample {trained.index}" if trained else "training"
        how = "word for word" if leak.check is INSTRUCTION else f"{leak.share:.0%} of it"
        yield from _once(seen, Flag(held_out.index, leak.check.name, f"{how} in {where}"))
        if trained:
            reason = f"it repeats the held-out sample {held_out.index} ({leak.check.name})"
            yield from _once(seen, Flag(trained.index, HOLDS.name, reason))


def _once(seen: set[tuple[int, str]], flag: Flag) -> Iterator[Flag]:
    if (flag.index, flag.check) not in seen:
        seen.add((flag.index, flag.check))
        yield flag
