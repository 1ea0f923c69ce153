"""Peak memory of collecting, cleaning and cutting an author's documents, without any model, at three sizes.

Each size runs in a process of its own, whose peak the operating system tells; Postgres is not counted. The largest
takes some 3 GB of disk. ``python -m benchmarks.memory 1000 <empty folder with a short path>`` runs one size and prints
its figures as JSON.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import corpus
from benchmarks.table import Table
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.sources.base import RawDocument
from twin_resources.sources.jsonl import JsonLines
from twin_resources.storage.warehouse import Warehouse

SIZES = (1_000, 10_000, 100_000)
AUTHOR = corpus.author("memory")
_REPEATS = 20
"""Every so-and-so-manieth document repeats the one before it nearly, so that duplicates are found and compared."""
_VOCABULARY = tuple(f"{first}{middle}{last}" for first in ("ha", "ti", "mo", "re") for middle in "lmnrst" for last in
                    ("ven", "de", "ok", "an", "urs", "ied", "el", "ist"))  # fmt: skip


def documents(count: int) -> Iterator[RawDocument]:
    """Markdown articles of 150 to 1,350 words with headings, made one at a time; the same ones every time."""
    for number in range(count):
        repeats = number % _REPEATS == _REPEATS - 1
        drawn = random.Random(number - 1 if repeats else number)
        paragraphs = []
        for index in range(drawn.randint(3, 27)):
            words = " ".join(drawn.choices(_VOCABULARY, k=50)).capitalize()
            paragraphs.append(f"## Part {index}\n\n{words}." if index % 4 == 0 else f"{words}.")
        if repeats:
            paragraphs.append("And one more sentence at its end.")
        url = f"https://memory.example/{number}"
        yield RawDocument(url, "web", "articles", "text/markdown", "\n\n".join(paragraphs), title=f"Article {number}")


def measure(table: Table, home: Path) -> None:
    """Measure each of :data:`SIZES` in a process of its own."""
    for count in SIZES:
        command = [sys.executable, "-m", "benchmarks.memory", str(count), str(home / str(count))]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        name = f"collect, clean and cut {count:,} made documents"
        table.add(f"{name}: peak memory", found["peak_mb"], "MB")
        table.add(f"{name}: above an empty process", found["peak_mb"] - found["start_mb"], "MB")
        table.add(name, found["seconds"], "s")


def peak() -> float:
    """Peak memory of this process in MB.

    Linux keeps ``ru_maxrss`` of the process that started this one, so there the kernel's own figure is read.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Measure one size in this process, and print the figures as JSON."""
    count, home = int(sys.argv[1]), Path(sys.argv[2])
    settings = Settings(authors=(AUTHOR,), home=home)
    try:
        engine = postgres.engine(postgres.prepare(settings.postgres))
        source = JsonLines(str(home / "made.jsonl"), AUTHOR.author)
        corpus.take(engine, settings, AUTHOR, source, documents(1))
        start, began = peak(), time.perf_counter()
        corpus.take(engine, settings, AUTHOR, source, documents(count))
        figures = {"start_mb": start, "peak_mb": peak(), "seconds": time.perf_counter() - began}
        print(json.dumps({**figures, **Warehouse(engine).counts(AUTHOR.id)}))
    finally:
        postgres.stop(settings.postgres)


if __name__ == "__main__":
    main()
