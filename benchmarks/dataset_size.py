"""Time and peak memory of all quality checks over many samples, without a model, in a process of their own.

Samples are made of an author's own sentences, drawn anew for each; one in fifty repeats another in another order.
``make bench BENCH="--only quality --samples 100000"`` measures more of them, ``python -m benchmarks.dataset_size
100000`` runs one size and prints its figures as JSON.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.features import ROOT
from benchmarks.memory import peak
from benchmarks.table import Table
from twin_resources.quality import inspection, texts
from twin_resources.quality.samples import Sample
from twin_resources.quality.sources import Sources, normal
from twin_resources.text.sentences import sentences

SIZE = 10_000
_REPEATS = 50
_SENTENCES = 4


def samples(pool: list[str], count: int) -> Iterator[Sample]:
    """Samples of four sentences each, one at a time, the same ones every time; one in ten is held out."""
    for number in range(count):
        repeats = number % _REPEATS == _REPEATS - 1
        drawn = random.Random(number - 1 if repeats else number)
        parts = [drawn.choice(pool) for _ in range(_SENTENCES)]
        if repeats:
            parts.reverse()
        split = "test" if number // _REPEATS % 10 == 0 else "train"
        yield Sample(number, f"Write about number {number}.", " ".join(parts), split)


def sources() -> Sources:
    """The articles whose sentences samples are made of."""
    til = ROOT.parent / "shared" / "data" / "authors" / "til"
    return Sources(texts.sources([til if til.is_dir() else ROOT / "examples" / "sample" / "medium"]))


def measure(table: Table, count: int = SIZE) -> None:
    """Measure one size in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.dataset_size", str(count)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    name = f"check {count:,} samples"
    table.add(name, found["seconds"], "s")
    table.add(f"{name}: processor time", found["cpu"], "s")
    table.add(f"{name}: peak memory", found["peak_mb"], "MB")
    table.add(f"{name}: above an empty process with its sources", found["peak_mb"] - found["start_mb"], "MB")
    table.add(f"{name}: repeats found", found["repeats"], "share")


def main() -> None:
    """Measure one size in this process, and print the figures as JSON."""
    count = int(sys.argv[1])
    indexed = sources()
    pool = [
        text[start:end]
        for text in (indexed.text(number) for number in range(len(indexed)))
        for start, end in sentences(text, inside_code=True)
        if 8 <= len(text[start:end].split()) <= 40
    ]
    pool = sorted({normal(each) for each in pool})
    start, began, spent = peak(), time.perf_counter(), time.process_time()
    verdict = inspection.inspect(samples(pool, count), indexed)
    seconds, cpu = time.perf_counter() - began, time.process_time() - spent
    repeated = {flag.index for flag in verdict.flags if flag.check in ("near_duplicate", "same_meaning")}
    planted = set(range(_REPEATS - 1, count, _REPEATS))
    share = len({each for each in planted if each in repeated or each - 1 in repeated}) / max(1, len(planted))
    print(json.dumps({"start_mb": start, "peak_mb": peak(), "seconds": seconds, "cpu": cpu, "repeats": share}))


if __name__ == "__main__":
    main()
