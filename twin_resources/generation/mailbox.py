"""Handing over from any thread to one reader in an event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """What threads put in, one reader takes out, all that is there at once. Made in the reader's event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._items: deque[T] = deque()

    def put(self, item: T) -> None:
        """Leave something for the reader; from any thread."""
        self._items.append(item)
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the reader with it
            self._loop.call_soon_threadsafe(self._arrived.set)

    async def take(self) -> list[T]:
        """All that has come since the last time, at least one; waits for it."""
        while not self._items:
            self._arrived.clear()
            if not self._items:
                await self._arrived.wait()
        return [self._items.popleft() for _ in range(len(self._items))]
