"""What training costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Price:
    """What an hour of training costs, on all machines together; ``currency`` is any text."""

    per_hour: float
    currency: str

    def of(self, seconds: float) -> float:
        """The cost of so many seconds."""
        return self.per_hour * seconds / 3600

    def told(self, seconds: float) -> str:
        """The same, for a person."""
        amount = self.of(seconds)
        return f"{amount:.2f} {self.currency}" if amount >= 0.01 or not amount else f"under 0.01 {self.currency}"
