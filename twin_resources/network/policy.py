"""How hosts are asked: delays, limits, and who says so to them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@dataclass(frozen=True)
class CrawlPolicy:
    """How a host is asked. Seconds and bytes; ``routes`` sends a host elsewhere, ``private`` lets one address in.

    ``routes`` maps a host to the base address that answers for it, a GitHub Enterprise server or a stand-in of the
    tests. The person who writes it names the address, so it may lie in a private network; so may ``private``
    (``host:port``).
    """

    delay: float = 1.0
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    total_timeout: float = 120.0
    attempts: int = 5
    longest_wait: float = 300.0
    max_bytes: int = 20 * 1024**2
    max_ratio: int = 200
    max_redirects: int = 5
    contact: str | None = None
    routes: Mapping[str, str] = field(default_factory=dict)
    private: frozenset[str] = frozenset()
    locks: Path | None = None
    """A folder through which the processes of one machine share the rate limit of a host."""

    @property
    def user_agent(self) -> str:
        """Product, version and, where one is set, where to complain."""
        contact = f" (+{self.contact})" if self.contact else ""
        return f"{PRODUCT}/{_version()}{contact}"


PRODUCT = "llm-twin"
"""The name that robots.txt may address."""


@dataclass(frozen=True)
class Clock:
    """Time, so that a test need not wait for it."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random


def _version() -> str:
    try:
        return version("llm-twin")
    except PackageNotFoundError:
        return "0"
