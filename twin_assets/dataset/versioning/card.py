"""The card of a dataset version, in the form that model hubs show, with plots of what is in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from twin_assets.dataset.samples import InstructSample

PLOTS = {
    "lengths": "words of an answer",
    "kinds": "samples by kind and split",
    "years": "documents by year and category",
}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_EXAMPLES = 3
_EXAMPLE = 600


@dataclass(frozen=True)
class Card:
    """What a card says. ``files`` are the data files by split; ``plots`` those that lie beside it, by name."""

    title: str
    what: str
    facts: Mapping[str, Any]
    files: Mapping[str, str]
    rows: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    examples: Sequence[str] = ()
    plots: Mapping[str, str] = field(default_factory=dict)
    tasks: Sequence[str] = ("text-generation",)

    @property
    def header(self) -> str:
        """The metadata that the Hugging Face hub and ``datasets`` read."""
        size = next((name for most, name in _SIZES if self.rows < most), "1M<n<10M")
        files = [{"split": split, "path": path} for split, path in self.files.items()]
        values = {
            "pretty_name": self.title,
            "license": "other",
            "task_categories": list(self.tasks),
            "size_categories": [size],
            "configs": [{"config_name": "default", "data_files": files}],
        }
        return f"---\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}---\n"

    @property
    def text(self) -> str:
        """The card without its header."""
        lines = [f"# {self.title}", "", self.what, "", "| | |", "|---|---|"]
        lines += [f"| {name} | {value} |" for name, value in self.facts.items()]
        lines += ["", "## Left out", ""]
        lines += [f"- {reason}: {count}" for reason, count in sorted(self.dropped.items())] or ["Nothing."]
        if self.plots:
            lines += ["", "## What is in it", ""]
            lines += [f"![{what}](plots/{name}.png)" for name, what in self.plots.items()]
        lines += ["", "## Examples", ""]
        return "\n".join([*lines, "\n\n".join(self.examples) or "None.", ""])

    def write(self, folder: Path) -> None:
        """``README.md``."""
        (folder / "README.md").write_text(f"{self.header}\n{self.text}", encoding="utf-8")


def examples(samples: Sequence[InstructSample]) -> list[str]:
    """Some samples of different kinds, as quotations."""
    first = {sample.kind: sample for sample in reversed(samples)}
    shown = [first[kind] for kind in sorted(first)][:_EXAMPLES]
    return [
        f"> **{' '.join(sample.instruction.split())}**\n>\n> " + sample.answer[:_EXAMPLE].replace("\n", "\n> ")
        for sample in shown
    ]


def plot(samples: Sequence[InstructSample], published: Mapping[str, datetime | None], folder: Path) -> None:
    """Draw :data:`PLOTS` into ``folder/plots``; the same samples give the same bytes.

    Args:
        published: when each document was published, by its id.
    """
    from matplotlib.figure import Figure

    (folder / "plots").mkdir()

    def save(name: str, figure: Figure) -> None:
        figure.savefig(folder / "plots" / f"{name}.png", dpi=110, metadata={"Software": None})

    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.subplots()
    for split in ("train", "validation", "test"):
        lengths = [len(sample.answer.split()) for sample in samples if sample.split == split]
        axes.hist(lengths, bins=30, alpha=0.6, label=f"{split} ({len(lengths)})")
    axes.set_xlabel(PLOTS["lengths"])
    axes.set_ylabel("samples")
    axes.legend(fontsize=8, loc="upper right")
    save("lengths", figure)
    kinds = Counter((sample.split, sample.kind) for sample in samples)
    save("kinds", _stacked(kinds, "samples"))
    documents = {sample.document_id: sample.category for sample in samples}
    years: Counter[tuple[str, str]] = Counter()
    for key, category in documents.items():
        date = published.get(key)
        years[category, str(date.year) if date else "undated"] += 1
    save("years", _stacked(years, "documents"))


def _stacked(counts: Mapping[tuple[str, str], int], label: str) -> Any:
    """Bars over the second part of the keys, stacked by the first."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.subplots()
    names = sorted({name for _, name in counts})
    bottom: dict[str, int] = defaultdict(int)
    for series in sorted({each for each, _ in counts}):
        heights = [counts.get((series, name), 0) for name in names]
        axes.bar(names, heights, bottom=[bottom[name] for name in names], label=series)
        for name, height in zip(names, heights, strict=True):
            bottom[name] += height
    axes.set_ylabel(label)
    axes.tick_params(axis="x", labelrotation=30, labelsize=8)
    if counts:
        axes.legend(fontsize=8, loc="upper right")
    return figure
