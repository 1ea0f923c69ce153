"""What is checked, and what checks say: samples, flags, and the verdict over a dataset."""

from __future__ import annotations

import json
import sys
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Self

HELD_OUT = ("validation", "test")
BENCHMARK = "benchmark"
"""The split of samples that a dataset is compared with and that are none of its own."""


@dataclass(frozen=True)
class Sample:
    """One instruction with its answer, whatever format it came in.

    ``index`` counts from 0 over all files in the order they were given. ``context`` are the texts that the answer was
    to be made from (passages, an ``input``); ``origins`` name the document the answer comes from, by URL, title or id;
    ``cited`` is the number of the right passage, counted from 1, where a sample says which one it is; ``silent`` ones
    say that nothing was written; ``beside`` is what else a model reads with it (a system prompt); a ``paraphrase`` says
    that it repeats another sample with its instruction in other words.
    """

    index: int
    instruction: str
    answer: str
    split: str = "train"
    context: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    category: str = ""
    platform: str = ""
    published: str = ""
    rejected: str | None = None
    cited: int | None = None
    silent: bool = False
    beside: str = ""
    paraphrase: bool = False

    @property
    def text(self) -> str:
        """All that a model would read of it."""
        return "\n".join([self.instruction, *self.context, self.answer, self.rejected or "", self.beside])


@dataclass(frozen=True)
class Flag:
    """What one check has against one sample."""

    index: int
    check: str
    reason: str


@dataclass(frozen=True)
class Check:
    """One check: what it looks for, and the share of the samples it looked at that it may flag.

    ``blocking`` ones keep a dataset from training when more is flagged.
    """

    name: str
    says: str
    allowed: float = 0.0
    blocking: bool = True


@dataclass(frozen=True)
class Outcome:
    """How one check ended. ``skipped`` says why it looked at nothing."""

    check: Check
    looked_at: int
    flagged: int
    skipped: str = ""

    @property
    def share(self) -> float:
        """Of the samples looked at, those flagged."""
        return self.flagged / self.looked_at if self.looked_at else 0.0

    @property
    def passed(self) -> bool:
        """Whether no more is flagged than may be."""
        return self.share <= self.check.allowed


@dataclass(frozen=True)
class Verdict:
    """What all checks say of a dataset; ``measures`` are shares that nothing is judged by."""

    samples: int
    splits: Mapping[str, int]
    outcomes: tuple[Outcome, ...]
    flags: tuple[Flag, ...]
    measures: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no blocking check failed."""
        return all(outcome.passed for outcome in self.outcomes if outcome.check.blocking)

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The blocking checks that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.check.blocking and not outcome.passed)

    @property
    def shares(self) -> dict[str, float]:
        """The share of each check that looked at something, and the measures."""
        looked = {each.check.name: round(each.share, 4) for each in self.outcomes if not each.skipped}
        return {**looked, **{name: round(value, 4) for name, value in self.measures.items()}}

    def reasons(self, checks: Iterable[str] | None = None) -> Counter[str]:
        """How many samples each check flagged."""
        wanted = None if checks is None else set(checks)
        found = {(flag.check, flag.index) for flag in self.flags if wanted is None or flag.check in wanted}
        return Counter(check for check, _ in found)


class Spool:
    """Samples in a temporary file, 16 bytes of each in memory, so that any of them can be read again.

    Use it in a ``with`` statement.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed on leaving the with statement
        self._starts = array("Q", [0])
        self.splits: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._starts) - 1

    def add(self, sample: Sample) -> None:
        """Put a sample at the end; its row is the number of samples before it."""
        self._file.seek(self._starts[-1])
        self._file.write(json.dumps(asdict(sample), ensure_ascii=True).encode())
        self._starts.append(self._file.tell())
        self.splits.append(sys.intern(sample.split))

    def __getitem__(self, row: int) -> Sample:
        self._file.seek(self._starts[row])
        values = json.loads(self._file.read(self._starts[row + 1] - self._starts[row]))
        return Sample(**{**values, "context": tuple(values["context"]), "origins": tuple(values["origins"])})

    def read(self, rows: Sequence[int]) -> Iterator[Sample]:
        """The samples of some rows, in their order."""
        return (self[int(row)] for row in rows)
