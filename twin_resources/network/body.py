"""Reading a body within limits of size, ratio and time."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpcore

from twin_resources.network.addresses import shown
from twin_resources.network.errors import Refused
from twin_resources.network.policy import Clock

_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Limits:
    """Bytes unpacked, how many times larger than packed, and the moment of the clock by which the body has ended."""

    size: int
    ratio: int
    seconds: float
    deadline: float


def read(stream: Iterable[bytes], headers: Mapping[str, str], limits: Limits, *, url: str, clock: Clock) -> bytes:
    """A body, unpacked, within the limits of size before and after unpacking, ratio and time.

    Raises:
        Refused: it is too large, packs too well, or is packed in a way that was not asked for.
        TimeoutError: it has no end before the deadline.
    """
    encoding = headers.get("content-encoding", "identity").strip().lower() or "identity"
    if encoding not in ("identity", "gzip", "x-gzip", "deflate"):
        raise Refused(f"{shown(url)}: packed as {encoding}, which was not asked for")
    if headers.get("content-length", "").isdigit() and int(headers["content-length"]) > limits.size:
        raise Refused(f"{shown(url)}: larger than {limits.size:,} bytes; not read")
    unpacker = None if encoding == "identity" else zlib.decompressobj(zlib.MAX_WBITS | 32)
    packed = unpacked = 0
    parts: list[bytes] = []
    for chunk in in_time(stream, limits, clock):
        packed += len(chunk)
        for part in _unpack(unpacker, chunk, url) if unpacker else (chunk,):
            unpacked += len(part)
            if unpacked > limits.size:
                raise Refused(f"{shown(url)}: larger than {limits.size:,} bytes unpacked; not read")
            if unpacker and unpacked > 1024**2 and unpacked > limits.ratio * packed:
                raise Refused(f"{shown(url)}: packed more than {limits.ratio} to 1, as a bomb is; not read")
            parts.append(part)
    if unpacker and not unpacker.eof and packed:
        raise httpcore.RemoteProtocolError("the packed answer was cut off")
    return b"".join(parts)


def in_time(stream: Iterable[bytes], limits: Limits, clock: Clock) -> Iterator[bytes]:
    """The pieces of a body up to the deadline.

    Raises:
        TimeoutError: the deadline has passed.
    """
    for chunk in stream:
        if clock.monotonic() > limits.deadline:
            raise TimeoutError(f"no end of the answer after {limits.seconds:.0f} s")
        yield chunk


def _unpack(unpacker: Any, chunk: bytes, url: str) -> Iterator[bytes]:
    try:
        while chunk:
            part = unpacker.decompress(chunk, _CHUNK)
            chunk = unpacker.unconsumed_tail
            if part:
                yield part
            elif not chunk:
                return
    except zlib.error as problem:
        raise Refused(f"{shown(url)}: the answer is packed wrongly ({problem}); not read") from problem


def first(stream: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Pieces of a body until they are more than ``limit`` bytes."""
    total = 0
    for chunk in stream:
        yield chunk
        total += len(chunk)
        if total > limit:
            return


def plain(content: bytes, headers: Mapping[str, str], limit: int) -> bytes:
    """The words of an error page, as far as they can be read; nobody depends on them."""
    if headers.get("content-encoding", "identity").lower() == "identity":
        return content[:limit]
    with contextlib.suppress(zlib.error):
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(content, limit)
    return b""
