"""Embedding by actors on Ray, which may be spread over many nodes, as by one process (extra ``ray``).

What is embedded is read and stored by the job alone, batch by batch; actors get texts and give vectors, and a batch
whose actor is lost goes to another (:mod:`twin_resources.runtime.ray.actors`). So each batch is stored once, whoever
embedded it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import numpy as np

from twin_resources.config.ray import RaySettings
from twin_resources.config.settings import Settings, load
from twin_resources.errors import JobError
from twin_resources.retrieval.embedder import Embedder
from twin_resources.runtime.ray import in_ray_job
from twin_resources.runtime.ray.actors import LOSSES, Actors

T = TypeVar("T")
_BATCHES = 4
"""Of the model's, in one call of an actor: enough to keep it at work, and few enough to share a small author."""


@dataclass(frozen=True)
class Description:
    """What an actor says of itself once its model is loaded."""

    pid: int
    dimensions: int
    page: int


class Encoder:
    """What runs on a node: the embedding model of ``twin.yaml``."""

    def __init__(self, config: str) -> None:
        self._embedder = Embedder.of(load(config))

    def describe(self) -> Description:
        """Its process, and what its vectors are like."""
        return Description(os.getpid(), self._embedder.dimensions, _BATCHES * self._embedder.batch_size)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of passages, shape ``(texts, dimensions)``."""
        return self._embedder.encode(texts)


class ActorEmbedder:
    """Embeds texts as :class:`Embedder` does, by several actors at once.

    Args:
        wanted: how many, and of which size.
        config: ``twin.yaml``, where every node finds it.

    Raises:
        JobError: no actor came up.
    """

    def __init__(self, wanted: RaySettings, config: str) -> None:
        cpus, gpus = wanted.embedder_cpus, wanted.embedder_gpus
        self._actors = Actors(
            Encoder,
            (config,),
            wanted.embedders,
            room={"num_cpus": cpus, "num_gpus": gpus},
            start_minutes=wanted.start_minutes,
            short=f"an embedding actor in {{minutes}} minutes. Each asks for {cpus:g} CPUs and {gpus:g} GPUs beside "
            "the job itself: add a node, or ask for less with TWIN_RAY__EMBEDDER_CPUS, TWIN_RAY__EMBEDDER_GPUS or "
            "TWIN_POOLS__EMBED__CPUS",
        )
        first: Description = self._actors.described[0]
        self.dimensions, self.page = first.dimensions, first.page

    @property
    def lost(self) -> int:
        """How many actors were lost."""
        return self._actors.lost

    @property
    def pids(self) -> list[int]:
        """The process of each that came up."""
        return [each.pid for each in self._actors.described]

    @contextlib.contextmanager
    def spread(self) -> Iterator[None]:
        """As of :class:`Embedder`; the actors are there already."""
        yield

    def encode_each(self, batches: Iterable[tuple[T, Sequence[str]]]) -> Iterator[tuple[T, np.ndarray]]:
        """Vectors of batches of passages, each batch with what came with it, in the order in which they are done.

        As many batches are read ahead as there are actors.

        Raises:
            JobError: a batch ended several actors, or none is left and none came in time.
        """
        calls = (((of, texts), (list(texts),)) for of, texts in batches)
        for (of, _), vectors in self._actors.each("encode", calls, _ends_actors):
            yield of, vectors

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of passages, by one actor."""
        ((_, vectors),) = self.encode_each([(None, texts)])
        return vectors

    def close(self) -> None:
        """End the actors."""
        self._actors.close()


def _ends_actors(batch: tuple[Any, Sequence[str]], error: Exception) -> NoReturn:
    texts = batch[1]
    longest = max(texts, key=len, default="")
    raise JobError(
        f"a batch of {len(texts)} passages ended {LOSSES} embedding actors one after another; its longest begins with "
        f"{longest[:60]!r}. Most often memory is short: start fewer actors a node (TWIN_RAY__EMBEDDER_CPUS), or give "
        f"nodes more. {error}"
    ) from error


@contextlib.contextmanager
def embedder_of(settings: Settings, config: str) -> Iterator[Embedder | ActorEmbedder]:
    """Who embeds: ``ray.embedders`` actors where this is a Ray job, else this process.

    Raises:
        ModelNotFound: the model is nowhere to be had.
        JobError: no actor came up.
    """
    if not settings.ray.embedders or not in_ray_job():
        yield Embedder.of(settings)
        return
    actors = ActorEmbedder(settings.ray, config)
    try:
        yield actors
    finally:
        actors.close()
