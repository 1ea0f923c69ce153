"""Vectors of the sentences of passages, so that the ones that answer a question are found in milliseconds.

A row holds all sentences of one passage, keyed like its own vector by the hash of its text and the model. What is
not there yet is embedded when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from twin_resources.database.bulk import copy_upsert
from twin_resources.database.schema import chunk, sentence_embedding
from twin_resources.retrieval.embedder import Embedder
from twin_resources.text import units
from twin_resources.text.units import Unit

_LONGEST = 1200
"""Characters of a unit that are embedded; what a block of code is about stands at its head."""
_KEPT = 4096


@dataclass(frozen=True)
class Sentences:
    """The units of one passage and their vectors, shape ``(units, dimensions)``."""

    units: Sequence[Unit]
    vectors: np.ndarray


class SentenceIndex:
    """Sentence vectors of one model."""

    def __init__(self, engine: sa.Engine, model: str) -> None:
        self.engine = engine
        self.model = model
        self._lately: dict[str, Sentences] = {}

    def missing(self, author_id: str) -> int:
        """How many distinct texts of current passages have no sentence vectors yet."""
        query = sa.select(chunk.c.text_hash).where(*self._without(author_id)).distinct()
        with self.engine.connect() as session:
            return session.scalar(sa.select(sa.func.count()).select_from(query.subquery())) or 0

    def stream_missing(self, author_id: str, batch: int) -> Iterator[list[tuple[str, str]]]:
        """Batches of (hash, text) of current passages without sentence vectors, read through a server-side cursor."""
        query = (
            sa.select(chunk.c.text_hash, chunk.c.text)
            .ext(postgresql.distinct_on(chunk.c.text_hash))
            .where(*self._without(author_id))
            .order_by(chunk.c.text_hash)
        )
        with self.engine.connect() as session:
            for page in session.execution_options(yield_per=batch).execute(query).partitions(batch):
                yield [(row.text_hash, row.text) for row in page]

    def embed(self, texts: Iterable[tuple[str, str]], embedder: Embedder) -> int:
        """Embed the units of passages given as (hash, text) and store them; returns the number of units."""
        rows, count = [], 0
        for text_hash, found in self._embedded(list(texts), embedder).items():
            rows.append((text_hash, self.model, units.CODE_VERSION, found.vectors.astype(np.float16).tobytes()))
            count += len(found.units)
        with self.engine.begin() as session:
            columns = ["text_hash", "model", "cutter", "vectors"]
            copy_upsert(session, sentence_embedding, columns, rows, update=["cutter", "vectors"])
        return count

    def of(self, texts: Mapping[str, str], embedder: Embedder) -> dict[str, Sentences]:
        """The sentences of passages given as chunk id to text; those without stored vectors are embedded now."""
        found = {key: self._lately[key] for key in texts if key in self._lately}
        wanted = [key for key in texts if key not in found]
        if wanted:
            for key, vectors in self._stored(wanted):
                cut = units.units(texts[key])
                rows = np.frombuffer(vectors, dtype=np.float16).reshape(len(cut), -1) if cut and vectors else None
                if rows is not None:
                    found[key] = Sentences(cut, rows.astype(np.float32))
            left = [(key, texts[key]) for key in wanted if key not in found]
            found.update(self._embedded(left, embedder) if left else {})
            if len(self._lately) > _KEPT:
                self._lately = {}
            self._lately.update({key: found[key] for key in wanted})
        return found

    def _stored(self, chunk_ids: Sequence[str]) -> list[tuple[str, bytes]]:
        query = (
            sa.select(chunk.c.id, sentence_embedding.c.vectors)
            .join(sentence_embedding, sentence_embedding.c.text_hash == chunk.c.text_hash)
            .where(chunk.c.id.in_(chunk_ids), sentence_embedding.c.model == self.model)
            .where(sentence_embedding.c.cutter == units.CODE_VERSION)
        )
        with self.engine.connect() as session:
            return [(row.id, row.vectors) for row in session.execute(query)]

    def _embedded(self, texts: Sequence[tuple[str, str]], embedder: Embedder) -> dict[str, Sentences]:
        cut = {key: units.units(text) for key, text in texts}
        whole = dict(texts)
        flat = [whole[key][unit.start : unit.end][:_LONGEST] for key, found in cut.items() for unit in found]
        vectors = embedder.encode(flat) if flat else np.zeros((0, embedder.dimensions), dtype=np.float32)
        made, start = {}, 0
        for key, found in cut.items():
            made[key] = Sentences(found, vectors[start : start + len(found)])
            start += len(found)
        return made

    def _without(self, author_id: str) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            chunk.c.author == author_id,
            chunk.c.current,
            ~sa.exists().where(
                sentence_embedding.c.text_hash == chunk.c.text_hash,
                sentence_embedding.c.model == self.model,
                sentence_embedding.c.cutter == units.CODE_VERSION,
            ),
        )
