"""API keys: who may call what, for which authors. Only their hashes are stored."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from twin_resources.config.settings import Settings
from twin_resources.database.schema import api_key
from twin_resources.errors import TwinError

Kind = Literal["reader", "author", "admin"]
KINDS: tuple[Kind, ...] = ("reader", "author", "admin")
"""What a key may do, each more than the one before: read; add, forget, approve too; everything, for all authors."""


class ApiKeyError(TwinError):
    """A key cannot be made or revoked; the message says why."""


@dataclass(frozen=True)
class ApiKey:
    """A key without its secret; ``authors`` is empty for an admin, who has all.

    ``calls_a_minute`` and ``tokens_a_day`` are None for any number; ``spent`` is what models read and wrote for it
    today, in UTC, in tokens.
    """

    id: str
    name: str
    kind: Kind
    authors: tuple[str, ...]
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    calls_a_minute: int | None = None
    tokens_a_day: int | None = None
    spent: int = 0

    @property
    def tokens_left(self) -> int | None:
        """Of today; None for any number."""
        return None if self.tokens_a_day is None else max(0, self.tokens_a_day - self.spent)


def digest(key: str) -> bytes:
    """What is stored of a key. A key of 256 random bits needs no slow hash: nobody can guess it."""
    return hashlib.sha256(key.encode()).digest()


class ApiKeys:
    """Reads and writes the table ``api_key``."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def create(
        self,
        name: str,
        kind: Kind,
        authors: Sequence[str] = (),
        *,
        calls_a_minute: int | None = None,
        tokens_a_day: int | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key and its secret, which nobody can ever read again.

        Args:
            calls_a_minute: how often it may call one replica of the API; None for any number.
            tokens_a_day: how many tokens models may read and write for it between two midnights in UTC, give or take
                the answer that goes beyond; None for any number.

        Raises:
            ApiKeyError: a reader or author key without authors, an admin key with some, or the name of a key in use.
        """
        if kind == "admin" and authors:
            raise ApiKeyError("a key of kind admin is for all authors; leave the authors out")
        if kind != "admin" and not authors:
            raise ApiKeyError(f"a key of kind {kind} needs at least one author")
        secret = f"twin_{secrets.token_urlsafe(32)}"
        with self.engine.begin() as session:
            taken = api_key.c.revoked_at.is_(None) & (api_key.c.name == name)
            if session.scalar(sa.select(api_key.c.id).where(taken)):
                raise ApiKeyError(f"a key named {name!r} is in use; revoke it first or choose another name")
            row = session.execute(
                sa.insert(api_key)
                .values(
                    id=secrets.token_hex(4),
                    name=name,
                    hash=digest(secret),
                    kind=kind,
                    authors=list(dict.fromkeys(authors)),
                    calls_a_minute=calls_a_minute,
                    tokens_a_day=tokens_a_day,
                )
                .returning(api_key)
            ).one()
        return _key(row), secret

    def list(self) -> list[ApiKey]:
        """All keys, revoked ones too, the newest first."""
        with self.engine.connect() as session:
            query = sa.select(api_key).order_by(api_key.c.created_at.desc(), api_key.c.id)
            return [_key(row) for row in session.execute(query)]

    def held(self) -> tuple[dict[bytes, ApiKey], bool]:
        """The keys in use by their hash, and whether there ever was any."""
        with self.engine.connect() as session:
            rows = session.execute(sa.select(api_key)).all()
        return {bytes(row.hash): _key(row) for row in rows if row.revoked_at is None}, bool(rows)

    def revoke(self, wanted: str) -> ApiKey:
        """End a key by its id or name, within seconds everywhere.

        Raises:
            ApiKeyError: no key in use has this id or name.
        """
        mine = api_key.c.revoked_at.is_(None) & ((api_key.c.id == wanted) | (api_key.c.name == wanted))
        with self.engine.begin() as session:
            row = session.execute(
                sa.update(api_key).where(mine).values(revoked_at=sa.func.now()).returning(api_key)
            ).first()
        if row is None:
            raise ApiKeyError(f"no key in use has the id or name {wanted!r}; `twin keys list` shows them")
        return _key(row)

    def used(self, ids: Collection[str]) -> None:
        """Note that keys were used just now."""
        with self.engine.begin() as session:
            session.execute(sa.update(api_key).where(api_key.c.id.in_(ids)).values(last_used_at=sa.func.now()))

    def spend(self, key_id: str, tokens: int) -> None:
        """Add tokens to what a key spent today; nothing where there is no such key."""
        today = datetime.now(UTC).date()
        before = sa.case((api_key.c.spent_on == today, api_key.c.spent), else_=0)
        with self.engine.begin() as session:
            session.execute(
                sa.update(api_key).where(api_key.c.id == key_id).values(spent=before + tokens, spent_on=today)
            )


def key_of_ours(settings: Settings) -> str:
    """The key with which our processes ask one another: the first one configured, else the internal one."""
    return next(iter(settings.keys), None) or internal_key(settings.home)


def internal_key(home: Path) -> str:
    """The key that our own processes on this machine show one another; made on first use, readable by us alone."""
    path = home / "internal-key"
    try:
        return path.read_text()
    except FileNotFoundError:
        home.mkdir(parents=True, exist_ok=True)
    staging = home / f".internal-key.{os.getpid()}.{secrets.token_hex(4)}"
    handle = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(32))
    try:
        os.link(staging, path)  # the first one wins, whole
    except FileExistsError:
        pass
    finally:
        staging.unlink()
    return path.read_text()


def _key(row: sa.Row) -> ApiKey:
    today = row.spent_on == datetime.now(UTC).date()
    return ApiKey(
        row.id,
        row.name,
        row.kind,
        tuple(row.authors),
        row.created_at,
        row.last_used_at,
        row.revoked_at,
        row.calls_a_minute,
        row.tokens_a_day,
        row.spent if today else 0,
    )
