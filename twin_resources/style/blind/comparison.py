"""Two versions side by side in blind tests: whether readers certainly tell one from the author more readily."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from twin_resources.storage.calls.blind_tests import Tally
from twin_resources.style.blind.sequence import FEWEST, Standing


@dataclass(frozen=True)
class Comparison:
    """A candidate and what speaks now; ``champion`` is None where no other version does."""

    candidate: str
    champion: str | None
    mine: Standing
    theirs: Standing

    @classmethod
    def of(cls, tallies: Mapping[str, Tally], candidate: str, champion: str | None) -> Comparison:
        """The comparison by the answers on each version."""
        other = None if champion == candidate else champion
        mine, theirs = (_standing(tallies.get(version or "")) for version in (candidate, other))
        return cls(candidate, other, mine, theirs)

    @property
    def counts(self) -> bool:
        """Whether there are answers enough on both to decide anything."""
        return self.champion is not None and min(self.mine.answers, self.theirs.answers) >= FEWEST

    def is_told_more_readily(self, margin: float) -> bool:
        """Whether the candidate's whole confidence sequence lies more than ``margin`` above the champion's."""
        return self.counts and self.mine.low > self.theirs.high + margin


def _standing(tally: Tally | None) -> Standing:
    return Standing(tally.right, tally.answers) if tally else Standing(0, 0)
