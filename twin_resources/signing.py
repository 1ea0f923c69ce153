"""Signed answers: who answered what, in whose name, from which passages; anyone can check one without asking anybody.

A statement is JSON with sorted keys and no spaces, in UTF-8, signed with Ed25519 (RFC 8032). Whoever has the public key
of a twin can tell its answers from what others put into its mouth, and a changed word from what was said.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from twin_resources.errors import TwinError

ALGORITHM = "Ed25519"


class SignatureError(TwinError):
    """A statement was not signed by this key, or was changed since; or a key cannot be read."""


@dataclass(frozen=True)
class Signed:
    """A statement with its signature and the key that checks it, both in base64."""

    statement: Mapping[str, Any]
    signature: str
    public_key: str
    algorithm: str = ALGORITHM


def canonical(statement: Mapping[str, Any]) -> bytes:
    """The bytes that are signed."""
    return json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def text_hash(text: str) -> str:
    """SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


class Signer:
    """Signs with one private key."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    @classmethod
    def of(cls, file: Path, given: str | None) -> Signer:
        """The signer of ``given``, 32 bytes in base64, else of a file, which is made where it is missing.

        Raises:
            SignatureError: what is given or in the file is no key.
        """
        if given:
            return cls(_bytes(given, 32, "TWIN_SIGNING_KEY"))
        if not file.exists():
            _make(file)
        return cls(_bytes(file.read_text(encoding="ascii").strip(), 32, str(file)))

    def sign(self, statement: Mapping[str, Any]) -> Signed:
        """The statement with its signature."""
        signature = self._key.sign(canonical(statement))
        return Signed(statement, base64.b64encode(signature).decode(), self.public_key)


def verify(signed: Signed, public_key: str | None = None) -> Mapping[str, Any]:
    """The statement, where it is just what was signed.

    Args:
        public_key: that of the twin, in base64, from somebody you trust; without it a statement is only known to be
            whole, and not whose it is.

    Raises:
        SignatureError: it was changed, is another's, or cannot be read.
    """
    if signed.algorithm != ALGORITHM:
        raise SignatureError(f"signed with {signed.algorithm}, which is not known here; {ALGORITHM} is")
    if public_key is not None and _bytes(public_key, 32, "the key") != _bytes(signed.public_key, 32, "the key"):
        raise SignatureError(f"signed with another key, {signed.public_key}")
    key = Ed25519PublicKey.from_public_bytes(_bytes(signed.public_key, 32, "the public key"))
    try:
        key.verify(_bytes(signed.signature, 64, "the signature"), canonical(signed.statement))
    except InvalidSignature:
        raise SignatureError("the signature does not fit: something was changed after it was signed") from None
    return signed.statement


def _make(file: Path) -> None:
    """Make a key; where several come at once the first one's stays, and half of one is never there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    staging = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
    staging.touch(mode=0o600)
    try:
        staging.write_bytes(base64.b64encode(os.urandom(32)))
        with contextlib.suppress(FileExistsError):
            os.link(staging, file)
    finally:
        staging.unlink()


def _bytes(text: str, size: int, name: str) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except ValueError:
        found = b""
    if len(found) != size:
        raise SignatureError(f"{name} is not {size} bytes in base64")
    return found
