"""``python -m benchmarks``: measures each stage on one corpus and compares with the committed table.

Uses ``../shared/data`` where it is there, else the sample author. Everything happens in databases and homes of its own
that are removed at the end.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import warnings
from collections.abc import Container
from pathlib import Path

import psutil

from benchmarks import dataset_size, embedding, extraction, features, gateway, language, load, memory, search
from benchmarks.collections import available
from benchmarks.table import Table, machine
from twin_resources.config.settings import Settings
from twin_resources.database import postgres


def _search(table: Table, passages: int, home: Path) -> None:
    try:
        search.quality(table, home)
        if passages and available():
            search.scale(table, home, passages)
    finally:
        postgres.stop(Settings(home=home).postgres)


def _author(table: Table, home: Path, documents: int, parts: Container[str]) -> None:
    """What one author's corpus takes."""
    bench = features.Bench.open(home)
    try:
        if "features" in parts:
            features.measure(table, bench, documents)
        else:
            bench.take(bench.documents(documents))
        if "language" in parts:
            language.measure(table, bench)
    finally:
        postgres.stop(bench.settings.postgres)


PARTS = ("extraction", "search", "gateway", "load", "features", "embedding", "memory", "language", "quality")


def main() -> None:
    """Measure everything, or the parts named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="this part; can be given more than once")
    parser.add_argument("--documents", type=int, default=578, help="documents of the author to measure on")
    parser.add_argument("--passages", type=int, default=100_000, help="passages in the large index; 0 for none")
    parser.add_argument("--samples", type=int, default=dataset_size.SIZE, help="samples that all checks go through")
    parser.add_argument("--home", type=Path, help="keep the passages of search here, and use them if they are here")
    parser.add_argument("--save", action="store_true", help="put the figures into the committed table")
    chosen = parser.parse_args()
    parts = set(chosen.only or PARTS)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    os.environ.update(TOKENIZERS_PARALLELISM="false", TQDM_DISABLE="1")
    table = Table()
    with tempfile.TemporaryDirectory(prefix="twin-bench-") as name:
        scratch = Path(name)
        if "extraction" in parts:
            extraction.measure(table)
        if "search" in parts:
            _search(table, chosen.passages, (chosen.home or scratch / "search").resolve())
        if "gateway" in parts:
            gateway.measure(table, scratch / "gateway")
        if "load" in parts:
            load.measure(table, scratch / "load")
        if parts & {"features", "language"}:
            _author(table, scratch / "author", chosen.documents, parts)
        if "memory" in parts:
            memory.measure(table, scratch / "memory")
        if "quality" in parts:
            dataset_size.measure(table, chosen.samples)
        if "embedding" in parts:
            embedding.measure(table, scratch / "embedding")
    resident = psutil.Process().memory_info().rss / 2**20
    table.add(f"resident memory at the end of {', '.join(sorted(parts))}", resident, "MB")
    print(f"\n{machine()}\n\n{table.markdown()}")
    if chosen.save:
        table.save()


if __name__ == "__main__":
    main()
