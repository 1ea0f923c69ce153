"""Several engines of the same base that come and go, as if they were one.

Every adapter is loaded into every engine. A request goes to the engine that is least busy among those that have its
adapter, over the connection of this process; so an engine that came late is asked for an adapter once it has it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import NotRequired, TypedDict, Unpack

from twin_resources.config.settings import Settings
from twin_resources.generation.base import (
    AsyncStream,
    EngineState,
    GeneratorError,
    NotLoaded,
    QueueFull,
    Stream,
    Turns,
    Unreachable,
)
from twin_resources.generation.openai import OpenAIGenerator

log = logging.getLogger(__name__)


class _Asked(TypedDict):
    max_tokens: int
    temperature: float
    seed: int | None
    stop: NotRequired[Sequence[str]]


@dataclass(eq=False)
class _Member:
    """An engine; ``ready`` once it answered and had its adapters loaded, until it cannot be reached."""

    engine: OpenAIGenerator
    ready: bool = False
    asking: int = 0
    problem: str | None = None
    used: int = 0

    def has(self, version: str | None) -> bool:
        return self.ready and (version is None or version in self.engine.loaded())

    def busy(self) -> tuple[int, int]:
        return self.engine.waiting() + self.asking, self.used


class EnginePool:
    """A :class:`~twin_resources.generation.base.Generator` over engines at addresses that change.

    Addresses are looked up, and who came or came back is made ready, whenever :meth:`unready` is asked.

    An engine that cannot be reached, is full or has lost the adapter is passed over for the next one, as long as it has
    not begun to answer; one that cannot be reached gets nothing more until it answers again. An answer that has begun
    breaks off with its engine.

    Args:
        base: the model's name as ``twin.yaml`` has it.
        addresses: where the engines are now; when it raises an error, those that are known stay.
        connect: makes the client of one.
    """

    def __init__(
        self, base: str, addresses: Callable[[], Collection[str]], connect: Callable[[str], OpenAIGenerator]
    ) -> None:
        self.base = base
        self._addresses = addresses
        self._connect = connect
        self._members: dict[str, _Member] = {}
        self._leaving: list[_Member] = []
        self._wanted: dict[str, Path] = {}
        self._unknown: str | None = None
        self._changing = threading.RLock()
        self._counting = threading.Lock()
        self._turns = count(1)

    @classmethod
    def of(cls, settings: Settings, addresses: Callable[[], Collection[str]], *, stop: Sequence[str]) -> EnginePool:
        """Engines of the configured base that are asked with ``TWIN_ENGINE_KEY``."""
        return cls(settings.models.base, addresses, lambda url: OpenAIGenerator.at(url, settings, stop=stop))

    def load(self, version: str, folder: Path) -> None:
        """Load an adapter into every engine, and into each that comes later.

        Raises:
            Unreachable: no engine is there now.
            GeneratorError: all that are there refuse it.
        """
        with self._changing:
            self._wanted[version] = folder
            for member in self._ready():
                self._bring(member, version, folder)
            if any(member.has(version) for member in self._ready()):
                return
            reasons = {member.problem for member in self._members.values() if member.problem}
            why = "; ".join(sorted(reasons)) or "no engine is there to load an adapter"
            if not self._ready():
                raise Unreachable(why)  # whoever comes gets it
            del self._wanted[version]
            raise GeneratorError(why)

    def unload(self, version: str) -> None:
        """Drop an adapter everywhere.

        Raises:
            GeneratorError: an engine refuses.
        """
        with self._changing:
            self._wanted.pop(version, None)
            for member in self._ready():
                try:
                    member.engine.unload(version)
                except Unreachable as error:
                    self._lose(member, error)

    def loaded(self) -> set[str]:
        """The versions that some engine answers with at once."""
        return {version for member in self._ready() for version in member.engine.loaded()}

    def stream(self, turns: Turns, *, version: str | None, **asked: Unpack[_Asked]) -> Stream:
        """Start an answer; see :meth:`Generator.stream`."""
        refused: GeneratorError | None = None
        for member in self._order(version):
            try:
                with self._asking(member):
                    return member.engine.stream(turns, version=version, **asked)
            except (Unreachable, QueueFull, NotLoaded) as error:
                refused = self._passed(member, error, refused)
        raise self._none(version) if refused is None else refused

    async def astream(self, turns: Turns, *, version: str | None, **asked: Unpack[_Asked]) -> AsyncStream:
        """Start an answer; see :meth:`Generator.astream`."""
        refused: GeneratorError | None = None
        for member in self._order(version):
            try:
                with self._asking(member):
                    return await member.engine.astream(turns, version=version, **asked)
            except (Unreachable, QueueFull, NotLoaded) as error:
                refused = self._passed(member, error, refused)
        raise self._none(version) if refused is None else refused

    def probe(self, turns: Turns, version: str) -> None:
        """Have every engine that has the adapter write one token.

        Raises:
            QueueFull: none had a place for it.
            GeneratorError: one does not answer with it.
        """
        answered, refused = False, None
        for member in self._order(version):
            try:
                member.engine.probe(turns, version)
                answered = True
            except (Unreachable, QueueFull, NotLoaded) as error:
                refused = self._passed(member, error, refused)
        if not answered:
            raise self._none(version) if refused is None else refused

    def unready(self) -> str | None:
        """Looks where the engines are and how they are, and loads what is wanted into those that came or came back; why
        none answers, or None."""
        with self._changing:
            self._follow()
            members = list(self._members.values())
        if members:
            with ThreadPoolExecutor(len(members), thread_name_prefix="engines") as looks:
                problems = list(looks.map(lambda member: member.engine.unready(), members))
            with self._changing:
                for member, problem in zip(members, problems, strict=True):
                    self._judge(member, problem)
        if self._ready():
            return None
        reasons = sorted({member.problem for member in self._members.values() if member.problem})
        return "; ".join(reasons) or self._unknown or "no engine has started yet"

    def engines(self) -> list[EngineState]:
        """Those that are known, by address."""
        return [
            replace(state, problem=member.problem or (None if member.ready else "it has not answered yet"))
            for _, member in sorted(self._members.items())
            for state in member.engine.engines()
        ]

    def waiting(self) -> int:
        """Answers this process waits for."""
        return sum(member.busy()[0] for member in [*self._members.values(), *self._leaving])

    def close(self) -> None:
        """Close the connections."""
        for member in [*self._members.values(), *self._leaving]:
            member.engine.close()

    def _ready(self) -> list[_Member]:
        return [member for member in list(self._members.values()) if member.ready]

    def _order(self, version: str | None) -> list[_Member]:
        """Those that can be asked, the least busy first; among equals, who was asked longest ago."""
        found = sorted((member for member in self._ready() if member.has(version)), key=_Member.busy)
        if found:
            found[0].used = next(self._turns)
        return found

    @contextlib.contextmanager
    def _asking(self, member: _Member) -> Iterator[None]:
        """Count a request until the engine has accepted it; from then on the engine's client counts it."""
        with self._counting:
            member.asking += 1
        try:
            yield
        finally:
            with self._counting:
                member.asking -= 1

    def _none(self, version: str | None) -> GeneratorError:
        if version is not None and self._ready():
            return NotLoaded(f"adapter {version} is in no engine")
        return Unreachable("no engine can be reached")

    def _passed(self, member: _Member, error: GeneratorError, before: GeneratorError | None) -> GeneratorError:
        """Go on without an engine; what to say when nobody else answers: that one is full, rather than why one left."""
        if isinstance(error, Unreachable):
            self._lose(member, error)
        return before if isinstance(before, QueueFull) else error

    def _lose(self, member: _Member, error: GeneratorError) -> None:
        member.ready, member.problem = False, str(error)
        log.warning("%s; asking others", error)

    def _follow(self) -> None:
        """Take in who came, and let go who left when its answers have ended."""
        try:
            found, self._unknown = set(self._addresses()), None
        except Exception as error:
            unknown = f"the engines cannot be looked up: {str(error) or type(error).__name__}"
            if unknown != self._unknown:
                log.warning("%s; going on with those that are known", unknown)
            found, self._unknown = set(self._members), unknown
        members = {url: member for url, member in self._members.items() if url in found}
        for url in sorted(found - set(self._members)):
            log.info("an engine came at %s", url)
            members[url] = _Member(self._connect(url))
        for url in set(self._members) - found:
            log.info("the engine at %s went", url)
            self._leaving.append(self._members[url])
        self._members = members
        for member in [each for each in self._leaving if not each.busy()[0]]:
            self._leaving.remove(member)
            member.engine.close()

    def _judge(self, member: _Member, problem: str | None) -> None:
        """Leave an engine out, or have it ready with all that is wanted."""
        if problem is not None:
            if member.ready:
                log.warning("%s; asking others", problem)
            member.ready, member.problem = False, problem
        elif not member.ready:
            member.problem = None
            member.ready = self._prepare(member)
        elif any(version not in member.engine.loaded() for version in self._wanted):
            self._prepare(member)

    def _prepare(self, member: _Member) -> bool:
        """Load what is wanted; whether the engine can still be reached."""
        return all(self._bring(member, version, folder) for version, folder in self._wanted.items())

    def _bring(self, member: _Member, version: str, folder: Path) -> bool:
        """Load an adapter into one engine, which is not asked for it where that fails; whether it can be reached."""
        try:
            member.engine.load(version, folder)
        except Unreachable as error:
            self._lose(member, error)
            return False
        except GeneratorError as error:
            if member.problem != str(error):
                log.error("%s", error)
            member.problem = str(error)
        else:
            member.problem = None
        return True
