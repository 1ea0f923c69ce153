"""How long a move takes, and for how much of it writers wait: ``python -m benchmarks.moving --passages 10000``."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from pydantic import SecretStr

from benchmarks import made
from twin_resources.config.settings import Settings
from twin_resources.database import postgres, schema
from twin_resources.database.postgres import Address
from twin_resources.moving.move import move
from twin_resources.retrieval.vectors import VectorIndex

_DIMENSIONS = 384
_WORDS = 120
_VOCABULARY = 20_000
_CALLS = 1_000


def main() -> None:
    """Make an author in one embedded server, move them to another one and back, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=10_000)
    count = parser.parse_args().passages
    with tempfile.TemporaryDirectory(prefix="twin-move-") as folder:
        second = Address(Path(folder) / "second")
        address = postgres.databases(second).twin.render_as_string(hide_password=False)
        home = Path(folder) / "first"
        settings = Settings(authors=(made.AUTHOR,), home=home, shards={"two": SecretStr(address)})
        try:
            for each in settings.addresses.values():
                postgres.prepare(each)
            _fill(postgres.engine(postgres.databases(settings.postgres)), count)
            for target in ("two", "main"):
                start = time.perf_counter()
                done = move(settings, made.AUTHOR.id, target)
                took = time.perf_counter() - start
                wait = f"writers wait {done.paused:.1f} s"
                print(f"{count:,} passages to {target}: {done.rows:,} rows, {took:.1f} s, {wait}")
        finally:
            postgres.stop(settings.postgres)
            postgres.stop(second)


def _fill(engine: sa.Engine, count: int) -> None:
    """An author with passages, vectors, postings, and calls."""
    random = np.random.default_rng(7)
    ranks = random.zipf(1.3, (count, _WORDS)) % _VOCABULARY
    made.store_document(engine)
    made.store(engine, ((number, " ".join(f"w{rank}x" for rank in row), "web") for number, row in enumerate(ranks)))
    index = VectorIndex(engine, Settings().models.embedding)
    index.save(_vectors(random, count), _DIMENSIONS)
    index.ensure_index()
    index.publish(made.AUTHOR.id)
    call = {"author": made.AUTHOR.id, "call": "ask", "query": "q " * 20, "answer": "a " * 200}
    rows = [{"id": str(number), **call, "citations": [], "usage": {}, "timings_ms": {}} for number in range(_CALLS)]
    with engine.begin() as session:
        session.execute(sa.insert(schema.interaction), rows)


def _vectors(random: np.random.Generator, count: int) -> Iterator[tuple[str, np.ndarray]]:
    for number in range(count):
        vector = random.standard_normal(_DIMENSIONS).astype(np.float32)
        yield made.key(number), vector / np.linalg.norm(vector)


if __name__ == "__main__":
    main()
