"""From passages to samples: what was left out on the way, as a plot."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from twin_assets.dataset.samples import InstructDataset
from twin_resources import report


def steps(dataset: InstructDataset) -> dict[str, int]:
    """How many there were at each step: passages, candidates, what was left out by reason, samples by split."""
    splits = Counter(sample.split for sample in dataset.samples)
    return {
        "passages": dataset.passages,
        "candidates": dataset.candidates,
        **{f"− {reason}": count for reason, count in dataset.dropped.most_common()},
        **{f"{split} samples": splits[split] for split in ("train", "validation", "test")},
    }


def draw(dataset: InstructDataset, path: Path) -> None:
    """Draw the steps into a PNG file."""
    report.levels({name: float(count) for name, count in steps(dataset).items()}, path, "count", fmt="{:,.0f}")
