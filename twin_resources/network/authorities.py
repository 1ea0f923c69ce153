"""Whom a client believes."""

from __future__ import annotations

import functools
import ssl

import httpx


@functools.cache
def authorities() -> ssl.SSLContext:
    """The certificate authorities of the web, read once a process: a client that is made for one call would read all of
    them for it, which takes 20 ms of processor time."""
    return httpx.create_ssl_context(trust_env=False)
