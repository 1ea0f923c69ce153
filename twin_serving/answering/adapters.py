"""The adapters that a generator holds: loaded when one is asked for, unloaded when no answer uses them."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from pathlib import Path
from typing import Generic, TypeVar

from twin_resources.generation.base import AsyncStream, Generation, Generator, GeneratorError, Stream
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.releases import Release, Releases

log = logging.getLogger(__name__)


S = TypeVar("S", Stream, AsyncStream)


class _Held(Generic[S]):
    """A stream of pieces that keeps its adapter loaded until it has ended; ``usage`` is there at the end."""

    def __init__(self, stream: S, version: str | None, release: Callable[[], None]) -> None:
        self._stream = stream
        self._release = release
        self.version = version

    @property
    def usage(self) -> Generation | None:
        """The whole answer, once it is complete."""
        return self._stream.usage

    def cancel(self) -> None:
        """Stop writing."""
        self._stream.cancel()
        self._release()


class AnswerStream(_Held[Stream], Iterator[str]):
    """An answer for a reader that waits in its own thread."""

    def __next__(self) -> str:
        try:
            return next(self._stream)
        except BaseException:
            self._release()
            raise


class AsyncAnswerStream(_Held[AsyncStream], AsyncIterator[str]):
    """An answer for a reader in an event loop."""

    async def __anext__(self) -> str:
        try:
            return await anext(self._stream)
        except BaseException:
            self._release()
            raise


class Adapters:
    """Loads adapters into a generator and keeps the most recently used ones there.

    Args:
        keep: how many stay loaded although no answer uses them.
    """

    def __init__(self, releases: Releases, artifacts: ArtifactStore, keep: int) -> None:
        self._releases = releases
        self._artifacts = artifacts
        self._keep = keep
        self._used: OrderedDict[str, None] = OrderedDict()
        self._in_flight: Counter[str] = Counter()
        self._leaving: set[str] = set()
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def names(self) -> list[str]:
        """Those that are loaded, the least recently used first."""
        with self._lock:
            return list(self._used)

    def hold(self, version: str | None) -> Callable[[], None]:
        """Keep an adapter from being unloaded; returns how to let it go, which may be called twice."""
        if version is None:
            return lambda: None
        with self._lock:
            self._in_flight[version] += 1
        once = threading.Lock()

        def release() -> None:
            if once.acquire(blocking=False):
                with self._lock:
                    self._in_flight[version] -= 1

        return release

    def has(self, generator: Generator, version: str) -> bool:
        """Whether an adapter is in the generator and stays there; then it becomes the most recently used one."""
        with self._lock:
            if version not in generator.loaded() or version in self._leaving:
                return False
            self._used[version] = None
            self._used.move_to_end(version)
            return True

    def load(self, generator: Generator, version: str) -> None:
        """Have an adapter in the generator; it becomes the most recently used one.

        Raises:
            GeneratorError: its artifact is no adapter, or it does not load.
        """
        if self.has(generator, version):
            return
        with self._loading:
            if version not in generator.loaded():
                start = time.monotonic()
                generator.load(version, self._folder(self._releases.get(version)))
                log.info("loaded adapter %s in %.1f s", version, time.monotonic() - start)
            with self._lock:
                self._used[version] = None
                self._used.move_to_end(version)

    def unload_idle(self, generator: Generator, kept: Collection[str | None]) -> None:
        """Unload the least recently used adapters over the limit, but for those ``kept`` and those an answer uses."""
        with self._loading:
            while True:
                with self._lock:
                    idle = [name for name in self._used if name not in kept and not self._in_flight[name]]
                    if len(self._used) <= self._keep or not idle:
                        return
                    leaving = idle[0]
                    self._leaving.add(leaving)
                    del self._used[leaving]
                try:
                    generator.unload(leaving)
                    log.info("unloaded adapter %s", leaving)
                finally:
                    with self._lock:
                        self._leaving.discard(leaving)

    def _folder(self, release: Release) -> Path:
        folder = self._artifacts.folder(release.artifact)
        if (folder / "adapter_config.json").exists():
            return folder
        inner = next(iter(sorted(folder.glob("*/adapter_config.json"))), None)
        if inner is None:
            raise GeneratorError(f"artifact {release.artifact} of {release.version} holds no adapter_config.json")
        return inner.parent
