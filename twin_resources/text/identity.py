"""Ids made of content: the same thing has the same id wherever and whenever it is written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def content_id(*parts: object) -> str:
    """The first 24 hexadecimal digits of the SHA-256 over ``parts``; the id of everything we store."""
    return content_id_of(parts)


def content_id_of(parts: Iterable[object]) -> str:
    """:func:`content_id` of parts that come one after another, however many there are."""
    digest = hashlib.sha256()
    for part in parts:
        data = str(part).encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()[:24]


def document_id(author_id: str, url: str) -> str:
    """The id that a document gets: one author, one canonical URL. It keeps it when its URL changes."""
    return content_id("document", author_id, url)


def bucket(key: str, count: int, *, digits: int = 8) -> int:
    """A number in ``[0, count)`` that depends on ``key`` alone: the same in every process, and as good as drawn.

    Args:
        digits: hexadecimal digits of the SHA-256 that it is made of; ``count`` should be far below ``16 ** digits``.
    """
    return int(hashlib.sha256(key.encode()).hexdigest()[:digits], 16) % count


def share_of(key: str, *, digits: int = 12) -> float:
    """A number in [0, 1) that depends on ``key`` alone; see :func:`bucket`."""
    return bucket(key, 16**digits, digits=digits) / 16**digits
