"""Vectors of the sentences of passages, so that the ones that answer a question are found in milliseconds.

A row holds all sentences of one passage, keyed like its own vector by the hash of its text and the model. What is
not there yet is embedded when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

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


class Cuttable(Protocol):
    """A passage, as far as cutting it into units needs it."""

    @property
    def text(self) -> str: ...
    @property
    def category(self) -> str: ...
    @property
    def url(self) -> str: ...


@dataclass(frozen=True)
class Passage:
    """A passage without sentence vectors, under the hash of its text."""

    text_hash: str
    text: str
    category: str
    url: str


def cut(passage: Cuttable) -> list[Unit]:
    """The units of a passage; those of a program are its parts as they were chunked."""
    return units.units(passage.text, source_code=units.is_source_code(passage.category, passage.url))


@dataclass(frozen=True)
class Sentences:
    """The units of one passage and their vectors, shape ``(units, dimensions)``."""

    units: Sequence[Unit]
    vectors: np.ndarray


@dataclass(frozen=True)
class Cut:
    """The units of passages, by the key of each, and the texts of all of them in that order."""

    units: Mapping[str, Sequence[Unit]]
    texts: Sequence[str]

    @classmethod
    def of(cls, passages: Mapping[str, Cuttable]) -> Cut:
        """Cut passages."""
        found = {key: cut(passage) for key, passage in passages.items()}
        texts = [passages[key].text[unit.start : unit.end][:_LONGEST] for key, mine in found.items() for unit in mine]
        return cls(found, texts)

    def joined(self, vectors: np.ndarray) -> dict[str, Sentences]:
        """The passages with the vectors of ``texts``, shape ``(texts, dimensions)``."""
        made, start = {}, 0
        for key, found in self.units.items():
            made[key] = Sentences(found, vectors[start : start + len(found)])
            start += len(found)
        return made


class SentenceIndex:
    """Sentence vectors of one model."""

    def __init__(self, engine: sa.Engine, model: str) -> None:
        self.engine = engine
        self.model = model
        self._lately: dict[str, Sentences] = {}

    def missing(self, author_id: str, category: str | None = None) -> int:
        """How many distinct texts of current passages have no sentence vectors yet."""
        mine = chunk.c.category == category if category else sa.true()
        query = sa.select(chunk.c.text_hash).where(*self._without(author_id), mine).distinct()
        with self.engine.connect() as session:
            return session.scalar(sa.select(sa.func.count()).select_from(query.subquery())) or 0

    def stream_missing(self, author_id: str, batch: int) -> Iterator[list[Passage]]:
        """Batches of current passages without sentence vectors, read through a server-side cursor."""
        query = (
            sa.select(chunk.c.text_hash, chunk.c.text, chunk.c.category, chunk.c.url)
            .ext(postgresql.distinct_on(chunk.c.text_hash))
            .where(*self._without(author_id))
            .order_by(chunk.c.text_hash)
        )
        with self.engine.connect() as session:
            for page in session.execution_options(yield_per=batch).execute(query).partitions(batch):
                yield [Passage(*row) for row in page]

    def store(self, cuts: Cut, vectors: np.ndarray) -> int:
        """Store the vectors of the units of passages, which are under the hashes of their texts; returns the number of
        units."""
        rows = [
            (text_hash, self.model, units.CODE_VERSION, found.vectors.astype(np.float16).tobytes())
            for text_hash, found in cuts.joined(vectors).items()
        ]
        with self.engine.begin() as session:
            columns = ["text_hash", "model", "cutter", "vectors"]
            copy_upsert(session, sentence_embedding, columns, rows, update=["cutter", "vectors"])
        return len(cuts.texts)

    def of(self, passages: Mapping[str, Cuttable], embedder: Embedder) -> dict[str, Sentences]:
        """The sentences of passages given by chunk id; those without stored vectors are embedded now."""
        found = {key: self._lately[key] for key in passages if key in self._lately}
        wanted = [key for key in passages if key not in found]
        if wanted:
            for key, vectors in self._stored(wanted):
                mine = cut(passages[key])
                if mine and vectors:
                    rows = np.frombuffer(vectors, dtype=np.float16).reshape(len(mine), -1)
                    found[key] = Sentences(mine, rows.astype(np.float32))
            left = {key: passages[key] for key in wanted if key not in found}
            found.update(_embedded(left, embedder) if left else {})
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


def _embedded(passages: Mapping[str, Cuttable], embedder: Embedder) -> dict[str, Sentences]:
    cuts = Cut.of(passages)
    ((_, vectors),) = embedder.encode_each([(cuts, cuts.texts)])
    return cuts.joined(vectors)
