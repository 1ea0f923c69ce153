"""Actors of one kind that share calls among them, on whichever nodes have room, and outlive the loss of some.

An actor that is lost, with its node or without, loses the call that it had: another one gets that call, and a new
actor is started in its place. Ray's own retry is off: it would wait for the node that is gone, and
``ray.util.ActorPool`` ends with the first actor that dies.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from twin_resources.errors import JobError

K = TypeVar("K")
LOSSES = 3
"""So many actors may be lost over one call; then it is the call that ends them."""


@dataclass
class _Call(Generic[K]):
    """A call, what it belongs to, and how many actors were lost over it."""

    of: K
    arguments: Sequence[Any]
    losses: int = 0


class Actors:
    """So many actors, each of which has said once what it is before it gets a call.

    Args:
        kind: its class, with a method ``describe``.
        arguments: of its constructor.
        count: how many there are to be.
        room: what each asks for, in Ray's words (``num_cpus``, ``num_gpus``, ``memory``).
        start_minutes: how long the first one may wait for a node.
        short: what to say, and to set, where no node has room.

    Attributes:
        described: what each actor said that came up.
        lost: how many were lost.

    Raises:
        JobError: no actor came up.
    """

    def __init__(
        self,
        kind: type,
        arguments: Sequence[Any],
        count: int,
        *,
        room: Mapping[str, Any],
        start_minutes: float,
        short: str,
    ) -> None:
        import ray
        from ray import exceptions

        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        self._ray, self._errors = ray, exceptions
        self._kind = ray.remote(**room)(kind)
        self._arguments, self._start_minutes, self._short = arguments, start_minutes, short
        self._coming: dict[Any, Any] = {}
        self._free: deque[Any] = deque()
        self.lost = 0
        self.described: list[Any] = []
        for _ in range(count):
            self._start()
        self._await_one()

    def each(
        self,
        method: str,
        calls: Iterable[tuple[K, Sequence[Any]]],
        ends_actors: Callable[[K, Exception], Any],
    ) -> Iterator[tuple[K, Any]]:
        """What a method returns for each of some calls, with what came with the call, in the order in which they end.

        A call is taken from ``calls`` when an actor is free for it.

        Args:
            ends_actors: gives the result of a call over which :data:`LOSSES` actors were lost, or raises.

        Raises:
            JobError: no actor is left, and none came in time.
        """
        left, again = iter(calls), deque[_Call[K]]()
        at_work: dict[Any, tuple[Any, _Call[K]]] = {}
        while True:
            while self._free and (call := again.popleft() if again else _next(left)) is not None:
                actor = self._free.popleft()
                at_work[getattr(actor, method).remote(*call.arguments)] = (actor, call)
            if not at_work:
                if self._free and not again:
                    return
                self._await_one()
                continue
            (done,), _ = self._ray.wait([*at_work, *self._coming], num_returns=1)
            if done in self._coming:
                self._arrive(done)
                continue
            actor, call = at_work.pop(done)
            try:
                result = self._ray.get(done)
            except self._errors.RayActorError as error:
                self._ray.kill(actor)  # one that could not be reached may be there still
                self.lost += 1
                call.losses += 1
                self._start()
                if call.losses < LOSSES:
                    again.append(call)
                    continue
                result = ends_actors(call.of, error)
            else:
                self._free.append(actor)
            yield call.of, result

    def close(self) -> None:
        """End them."""
        self._ray.shutdown()

    def _start(self) -> None:
        actor = self._kind.remote(*self._arguments)
        self._coming[actor.describe.remote()] = actor

    def _await_one(self) -> None:
        """Wait until one more is up."""
        lost = 0
        while True:
            ready, _ = self._ray.wait(list(self._coming), num_returns=1, timeout=self._start_minutes * 60)
            if not ready:
                raise JobError(f"no node took {self._short}".replace("{minutes}", f"{self._start_minutes:g}"))
            if self._arrive(ready[0]):
                return
            lost += 1
            if lost >= LOSSES:
                raise JobError(f"{lost} actors ended before they were up; their nodes' logs say why")

    def _arrive(self, ready: Any) -> bool:
        """Take an actor that is up; one that was lost before that is replaced.

        Raises:
            ActorDiedError: it cannot be made; it could not on another node.
        """
        actor = self._coming.pop(ready)
        try:
            self.described.append(self._ray.get(ready))
        except self._errors.ActorDiedError as error:
            if "__init__" in str(error) or "creation task" in str(error):
                raise
            self.lost += 1
            self._start()
            return False
        self._free.append(actor)
        return True


def _next(calls: Iterator[tuple[K, Sequence[Any]]]) -> _Call[K] | None:
    found = next(calls, None)
    return None if found is None else _Call(*found)
