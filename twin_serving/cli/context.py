"""What most commands need first: the settings, the author, the database, and who types."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from twin_serving.cli.errors import CommandError

if TYPE_CHECKING:
    import sqlalchemy as sa

    from twin_resources.config.settings import AuthorSettings, Settings
    from twin_resources.database.postgres import Databases

Author = Annotated[str | None, typer.Option("--author", "-a", help="Which author; not needed where there is one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]

_opened: list[sa.Engine] = []
"""Connections to close when the command ends."""


def load_settings() -> Settings:
    """The settings of twin.yaml and the environment."""
    from twin_resources.config.settings import load

    return load()


def author_of(settings: Settings, author_id: str | None) -> AuthorSettings:
    """The author that is meant; None means the only one.

    Raises:
        CommandError: there is none, or one of several has to be named.
    """
    if author_id is not None:
        return settings.author(author_id)
    if len(settings.authors) == 1:
        return settings.authors[0]
    if not settings.authors:
        raise CommandError(f"{settings.config} names no author; add one under `authors:`")
    known = ", ".join(author.id for author in settings.authors)
    raise CommandError(f"say which author with --author; {settings.config} has: {known}")


def open_database(settings: Settings) -> tuple[Databases, sa.Engine]:
    """The databases, ready for use, and ours opened until the command ends."""
    from twin_resources.database import postgres

    found = postgres.prepare(settings.postgres)
    _opened.append(postgres.engine(found))
    return found, _opened[-1]


def close_databases() -> None:
    """Close what the command opened."""
    while _opened:
        _opened.pop().dispose()


def current_user() -> str:
    """Who types, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
