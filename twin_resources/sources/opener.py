"""Opening sources by their entry in ``twin.yaml``, and connecting those that are read over the network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from twin_resources.errors import SourceError
from twin_resources.network.client import HttpClient
from twin_resources.network.policy import Clock, CrawlPolicy
from twin_resources.sources.base import Author, Source
from twin_resources.sources.network import NetworkSource, VisitMemory
from twin_resources.sources.registry import registry


class Entry(Protocol):
    """One entry under ``sources``."""

    @property
    def kind(self) -> str: ...

    @property
    def location(self) -> str: ...

    @property
    def options(self) -> Mapping[str, Any]: ...


class Collecting(Protocol):
    """What the settings say about collecting."""

    @property
    def folder(self) -> Path: ...

    @property
    def crawl_policy(self) -> CrawlPolicy: ...


class SourceOpener:
    """Opens sources.

    Args:
        folder: where relative locations and option paths start from.
        policy: how hosts are asked.
    """

    def __init__(self, folder: Path, policy: CrawlPolicy) -> None:
        self._folder = folder
        self._policy = policy

    @classmethod
    def of(cls, settings: Collecting) -> SourceOpener:
        """An opener as the settings want it."""
        return cls(settings.folder, settings.crawl_policy)

    def entry(self, author: Author, entry: Entry) -> Source:
        """Open an entry of ``twin.yaml``.

        Raises:
            SourceError: the location or an option is not one of this kind.
        """
        kind, location = registry()[entry.kind].locate(entry.location, self._folder)
        return self.open(author, kind, location, entry.options)

    def open(self, author: Author, kind: str, location: str, options: Mapping[str, Any]) -> Source:
        """Open a source by kind and location.

        Raises:
            SourceError: there is no such kind.
        """
        if kind not in registry():
            raise SourceError(f"no source of kind {kind!r}; kinds: {', '.join(registry())}")
        return registry()[kind](location, author, options)

    def connect(self, opened: Source, memory: VisitMemory, clock: Clock | None = None) -> NetworkSource | None:
        """Give a source of the network its HTTP client and what it remembers; None for a source that is a file."""
        if not isinstance(opened, NetworkSource):
            return None
        client = HttpClient(
            opened.hosts(), policy=self._policy, secrets=opened.secrets(), apis=opened.apis, clock=clock
        )
        opened.connect(client, memory, self._folder)
        return opened
