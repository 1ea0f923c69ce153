"""Why a request was not made, or got no usable answer."""

from __future__ import annotations

from twin_resources.errors import SourceError


class RequestError(SourceError):
    """A request was not made or got no usable answer; names the address without secrets, the reason and the remedy."""


class Refused(RequestError):
    """The request must not be made: host, address, scheme, robots.txt or a limit forbids it."""


class Unavailable(RequestError):
    """The host did not answer usably, however patiently it was asked."""
