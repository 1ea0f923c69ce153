"""How evenly a dataset is spread over categories, documents and time; a lopsided one is said to be so."""

from __future__ import annotations

from collections import Counter

from twin_resources.quality.samples import Check, Outcome, Sample

CATEGORY = Check("category_balance", "share of the largest category", allowed=0.98, blocking=False)
SOURCE = Check("source_balance", "share of the document with most samples", allowed=0.5, blocking=False)
TIME = Check("time_balance", "share of the year with most samples", allowed=0.9, blocking=False)
CHECKS = (CATEGORY, SOURCE, TIME)
_FEWEST = 20


class Balance:
    """Counts samples as they come."""

    def __init__(self) -> None:
        self.categories: Counter[str] = Counter()
        self.sources: Counter[str] = Counter()
        self.years: Counter[str] = Counter()

    def add(self, sample: Sample) -> None:
        """Count one sample."""
        for counts, value in (
            (self.categories, sample.category),
            (self.sources, sample.origins[0] if sample.origins else ""),
            (self.years, sample.published[:4]),
        ):
            if value:
                counts[value] += 1

    def outcomes(self) -> list[Outcome]:
        """The largest share of each; nothing is said where samples do not tell."""
        found = []
        for check, counts in ((CATEGORY, self.categories), (SOURCE, self.sources), (TIME, self.years)):
            total = counts.total()
            if total < _FEWEST or (check is not SOURCE and len(counts) < 2):
                found.append(Outcome(check, 0, 0, "too few samples say it, or all say the same"))
            else:
                found.append(Outcome(check, total, counts.most_common(1)[0][1]))
        return found
