"""Encoded samples that lie in a file, so that a training reads a split of any size and holds a batch of it."""

from __future__ import annotations

import tempfile
import weakref
from array import array
from collections.abc import Sequence
from typing import overload

import numpy as np

from twin_resources.models.causal import Encoded


class TokenFile(Sequence[Encoded]):
    """Samples in the order they were added in; in memory are 12 bytes of each.

    The file has no name and is gone with the last that uses it, also where the process is killed.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._starts = array("Q", [0])
        self._prompts = array("I")
        self._tokens = np.empty(0, np.uint32)

    def add(self, sample: Encoded) -> None:
        """Append a sample."""
        self._file.write(np.asarray(sample.ids, np.uint32).tobytes())
        self._starts.append(self._starts[-1] + len(sample.ids))
        self._prompts.append(sample.prompt_length)

    @property
    def tokens(self) -> int:
        """Tokens of all samples."""
        return self._starts[-1]

    def __len__(self) -> int:
        return len(self._prompts)

    @overload
    def __getitem__(self, place: int) -> Encoded: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Encoded]: ...

    def __getitem__(self, place: int | slice) -> Encoded | Sequence[Encoded]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        place = range(len(self))[place]
        if len(self._tokens) < self.tokens:
            self._file.flush()
            self._tokens = np.memmap(self._file, np.uint32, "r")
        ids = self._tokens[self._starts[place] : self._starts[place + 1]]
        return Encoded(tuple(ids.tolist()), self._prompts[place])
