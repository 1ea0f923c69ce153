"""Ids made of content: the same thing has the same id wherever and whenever it is written."""

from __future__ import annotations

import hashlib


def content_id(*parts: object) -> str:
    """The first 24 hexadecimal digits of the SHA-256 over ``parts``; the id of everything we store."""
    digest = hashlib.sha256()
    for part in parts:
        data = str(part).encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()[:24]


def document_id(author_id: str, url: str) -> str:
    """The id that a document gets: one author, one canonical URL. It keeps it when its URL changes."""
    return content_id("document", author_id, url)
