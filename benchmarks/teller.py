"""Prints what a training says."""

from __future__ import annotations


class Teller:
    """Prints the lines of a training and leaves its figures to what measures it."""

    def log(self, message: str) -> None:
        """Print one line."""
        print(f"    {message}", flush=True)

    def metric(self, name: str, value: float, step: int) -> None:
        """Nothing."""
