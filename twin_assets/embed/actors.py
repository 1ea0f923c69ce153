"""Embedding by actors on Ray, which may be spread over many nodes, as by one process (extra ``ray``).

What is embedded is read and stored by the job alone, batch by batch; actors get texts and give vectors. An actor that
is lost, with its node or without, loses the batch that it had: another actor gets that one, and a new actor is started
in its place. So each batch is stored once, whoever embedded it.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from twin_resources.config.ray import RaySettings
from twin_resources.config.settings import Settings, load
from twin_resources.errors import JobError
from twin_resources.retrieval.embedder import Embedder

T = TypeVar("T")
_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""What Ray sets in the environment of its jobs."""
_LOSSES = 3
"""So many actors may be lost over one batch; then it is the batch that ends them."""


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
        return Description(os.getpid(), self._embedder.dimensions, self._embedder.page)

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
        import ray

        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        self._ray, self._wanted = ray, wanted
        self._kind = ray.remote(num_cpus=wanted.embedder_cpus, num_gpus=wanted.embedder_gpus)(Encoder)
        self._arguments = config
        self._coming: dict[Any, Any] = {}
        self._free: deque[Any] = deque()
        self.lost = 0
        self.pids: list[int] = []
        for _ in range(wanted.embedders):
            self._start()
        described = self._await_one()
        self.dimensions, self.page = described.dimensions, described.page

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
        left, again = iter(batches), deque[tuple[T, Sequence[str]]]()
        at_work: dict[Any, tuple[Any, tuple[T, Sequence[str]]]] = {}
        losses: Counter[int] = Counter()
        while True:
            while self._free and (batch := again.popleft() if again else next(left, None)) is not None:
                actor = self._free.popleft()
                at_work[actor.encode.remote(list(batch[1]))] = (actor, batch)
            if not at_work and not again:
                if self._free:
                    return
                self._await_one()
                continue
            if not at_work:
                self._await_one()
                continue
            (done,), _ = self._ray.wait([*at_work, *self._coming], num_returns=1)
            if done in self._coming:
                self._arrive(done)
                continue
            actor, batch = at_work.pop(done)
            try:
                vectors = self._ray.get(done)
            except self._ray.exceptions.RayActorError as error:
                self._ray.kill(actor)  # one that could not be reached may be there still
                self.lost += 1
                losses[id(batch)] += 1
                if losses[id(batch)] >= _LOSSES:
                    raise _ends_actors(batch[1], error) from error
                again.append(batch)
                self._start()
                continue
            self._free.append(actor)
            yield batch[0], vectors

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of passages, by one actor."""
        ((_, vectors),) = self.encode_each([(None, texts)])
        return vectors

    def close(self) -> None:
        """End the actors."""
        self._ray.shutdown()

    def _start(self) -> None:
        actor = self._kind.remote(self._arguments)
        self._coming[actor.describe.remote()] = actor

    def _await_one(self) -> Description:
        """Wait until one more actor has its model."""
        seconds, lost = self._wanted.start_minutes * 60, 0
        while True:
            ready, _ = self._ray.wait(list(self._coming), num_returns=1, timeout=seconds)
            if not ready:
                cpus, gpus = self._wanted.embedder_cpus, self._wanted.embedder_gpus
                raise JobError(
                    f"no node took an embedding actor in {self._wanted.start_minutes:g} minutes. Each asks for "
                    f"{cpus:g} CPUs and {gpus:g} GPUs beside the job itself: add a node, or ask for less with "
                    "TWIN_RAY__EMBEDDER_CPUS, TWIN_RAY__EMBEDDER_GPUS or TWIN_POOLS__EMBED__CPUS"
                )
            if described := self._arrive(ready[0]):
                return described
            lost += 1
            if lost >= _LOSSES:
                raise JobError(
                    f"{lost} embedding actors ended before their model was loaded; their nodes' logs say why"
                )

    def _arrive(self, ready: Any) -> Description | None:
        """Take an actor whose model is loaded; one that was lost before that is replaced.

        Raises:
            ActorDiedError: the model does not load; it would not on another node.
        """
        actor = self._coming.pop(ready)
        try:
            described: Description = self._ray.get(ready)
        except self._ray.exceptions.ActorDiedError as error:
            if "__init__" in str(error) or "creation task" in str(error):
                raise
            self.lost += 1
            self._start()
            return None
        self.pids.append(described.pid)
        self._free.append(actor)
        return described


def _ends_actors(texts: Sequence[str], error: Exception) -> JobError:
    longest = max(texts, key=len, default="")
    return JobError(
        f"a batch of {len(texts)} passages ended {_LOSSES} embedding actors one after another; its longest begins with "
        f"{longest[:60]!r}. Most often memory is short: start fewer actors a node (TWIN_RAY__EMBEDDER_CPUS), or give "
        f"nodes more. {error}"
    )


@contextlib.contextmanager
def embedder_of(settings: Settings, config: str) -> Iterator[Embedder | ActorEmbedder]:
    """Who embeds: ``ray.embedders`` actors where this is a Ray job, else this process.

    Raises:
        ModelNotFound: the model is nowhere to be had.
        JobError: no actor came up.
    """
    if not settings.ray.embedders or _JOB not in os.environ:
        yield Embedder.of(settings)
        return
    actors = ActorEmbedder(settings.ray, config)
    try:
        yield actors
    finally:
        actors.close()
