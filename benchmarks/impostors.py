"""Makes the reference of how other people write (``twin_resources/style/reference.npz``) from folders of their texts.

    python -m benchmarks.impostors FOLDER [--out reference.npz] [--embed]

``FOLDER`` holds one folder of Markdown for each author. Which author comes into which group is drawn by the name of
the folder, so it does not change with what else is there. Only figures are written.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from twin_resources.config.settings import Settings
from twin_resources.retrieval.embedder import Embedder
from twin_resources.style import reference
from twin_resources.style.prose import Chunk, chunks
from twin_resources.style.traits import Counting, Vocabulary
from twin_resources.text.languages import language_of
from twin_resources.text.markup import split_front_matter

SUFFIXES = (".md", ".mdx", ".markdown", ".qmd", ".rmd", ".dj")
MOST, FEWEST = 26, 8
"""Chunks of an author that are taken at most, and needed at least."""
GRAMS = 2000
_READ = 400
"""Files of an author that are read, drawn at random."""


def documents(folder: Path) -> Iterator[str]:
    """Markdown of one author in English, without front matter, in a drawn order."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    random.Random(folder.name).shuffle(found)
    for path in found[:_READ]:
        try:
            _, body = split_front_matter(path.read_text(encoding="utf-8"))
        except (ValueError, OSError):
            continue
        if len(body.split()) >= 50 and language_of(body) == "en":
            yield body


def group_of(order: int) -> int:
    """The group of the author who is so-manieth in a drawn order."""
    return order % 3


def main() -> None:
    """Read every author's texts, count, and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.impostors", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=reference.PACKAGED)
    parser.add_argument("--embed", action="store_true", help="keep vectors of the packaged embedding model too")
    chosen = parser.parse_args()
    taken: dict[str, list[Chunk]] = {}
    for folder in sorted(path for path in chosen.folder.iterdir() if path.is_dir()):
        found = chunks(documents(folder), most=MOST)
        if len(found) >= FEWEST:
            taken[folder.name.replace("+", "/")] = found
        print(f"{folder.name}: {len(found)} chunks{'' if len(found) >= FEWEST else ', left out'}", flush=True)
    drawn = sorted(taken, key=lambda name: hashlib.blake2b(name.encode()).digest())
    groups = {name: group_of(order) for order, name in enumerate(drawn)}
    names = tuple(taken)
    every = [chunk for name in names for chunk in taken[name]]
    population = [chunk.text for name in names if groups[name] == reference.POPULATION for chunk in taken[name]]
    vocabulary = Vocabulary.of(population, GRAMS)
    count = Counting(vocabulary)
    authors = np.repeat(np.arange(len(names)), [len(taken[name]) for name in names])
    encode = Embedder.of(Settings()).encode if chosen.embed else None
    short = [chunk.short for chunk in every]
    measured = reference.Measured(
        short=count(short),
        rest=count([chunk.rest for chunk in every]),
        vectors_short=encode(short) if encode else None,
        vectors_long=encode([chunk.text for chunk in every]) if encode else None,
        authors=authors,
        groups=np.array([groups[names[number]] for number in authors]),
    )
    reference.save(chosen.out, measured, vocabulary, names, Settings().models.embedding if chosen.embed else "")
    print(f"{len(names)} authors, {len(every)} chunks, {chosen.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
