"""Addresses: how they are compared and printed, and which may be connected to."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore

from twin_resources.network.errors import Refused

_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
_SIX_TO_FOUR = ipaddress.ip_network("2002::/16")

Resolve = Callable[[str, int], list[str]]


def public(address: str) -> bool:
    """Whether ``address`` may be connected to: a global unicast address that hides no private one inside."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped
        if inner is None and any(found in network for network in _NAT64):
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is None and found in _SIX_TO_FOUR:
            inner = found.sixtofour
        if inner is None and found.teredo:
            return False
        if inner is not None:
            return public(str(inner))
        if int(found) >> 32 == 0:  # IPv4-compatible addresses, ::/96
            return False
    return found.is_global and not (
        found.is_private
        or found.is_loopback
        or found.is_link_local
        or found.is_multicast
        or found.is_reserved
        or found.is_unspecified
    )


def joined(base: str, link: str) -> str:
    """``link`` as it stands on the page ``base``.

    Raises:
        Refused: it is no address.
    """
    try:
        return urljoin(base, link)
    except ValueError:
        raise Refused(f"{shown(base)}: leads to an address that cannot be read") from None


def ascii_host(host: str) -> str:
    """A host as it is compared and connected to: lower case, without a last dot, umlauts as IDNA.

    Raises:
        ValueError: it is no host name.
    """
    host = host.lower().rstrip(".")
    return host if host.isascii() else host.encode("idna").decode("ascii")


def shown(url: str | None) -> str:
    """``url`` as it may be printed: without user name, query and fragment, where secrets travel."""
    if url is None:
        return ""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme}://{host}{port}{parts.path}"[:300]


class CheckedBackend(httpcore.NetworkBackend):
    """Resolves a name, checks all its addresses, and connects to one of those that were checked."""

    def __init__(self, resolve: Resolve, allowed: frozenset[str]) -> None:
        self._resolve = resolve
        self._allowed = allowed
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to an address of ``host`` that may be asked. TLS still checks the certificate for ``host``."""
        try:
            addresses = self._resolve(host, port)
        except OSError as problem:
            raise httpcore.ConnectError(f"{host} cannot be resolved: {problem}") from problem
        if not addresses:
            raise httpcore.ConnectError(f"{host} has no address")
        if f"{host}:{port}" not in self._allowed and (inner := [each for each in addresses if not public(each)]):
            raise Refused(
                f"{host} resolves to {inner[0]}, which is not a public address; not asked. If it is a server of "
                f"yours, name {host}:{port} under `collection: private:`"
            )
        for address in addresses[:-1]:
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
        return self._backend.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    def sleep(self, seconds: float) -> None:
        """Wait, as the pool asks for between its own retries, of which there are none."""
        self._backend.sleep(seconds)


def resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def origin(url: str) -> str:
    """Scheme, host and port of ``url``: what a robots.txt is valid for."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"
