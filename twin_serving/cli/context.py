"""What most commands need first: the settings, the author, the database, and who types."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from twin_resources.errors import TwinError
from twin_serving.cli.errors import CommandError

if TYPE_CHECKING:
    import sqlalchemy as sa

    from twin_resources.config.settings import AuthorSettings, Settings
    from twin_resources.database.postgres import Databases

Found = TypeVar("Found")

Author = Annotated[str | None, typer.Option("--author", "-a", help="Which author; not needed where there is one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]

_opened: list[sa.Engine] = []
"""Connections to close when the command ends."""


def load_settings() -> Settings:
    """The settings of twin.yaml and the environment."""
    from twin_resources.config.settings import load

    return load()


def author_of(settings: Settings, author_id: str | None) -> AuthorSettings:
    """The author that is meant; None means the only one. From here on the command opens the database where they live.

    Raises:
        CommandError: there is none, or one of several has to be named.
    """
    from twin_resources.database.shards import speak_of

    if author_id is not None or len(settings.authors) == 1:
        chosen = settings.author(author_id) if author_id is not None else settings.authors[0]
        speak_of(chosen.id)
        return chosen
    if not settings.authors:
        raise CommandError(f"{settings.config} names no author; add one under `authors:`")
    known = ", ".join(author.id for author in settings.authors)
    raise CommandError(f"say which author with --author; {settings.config} has: {known}")


def look_in_each(settings: Settings, find: Callable[[], Found]) -> Found:
    """What is found in the first database that has it, where the command names no author; it goes on there."""
    from twin_resources.database.shards import one_of_each, speak_of, spoken_of

    speakers = [] if spoken_of() else one_of_each(settings)
    for author_id in speakers[:-1]:
        speak_of(author_id)
        with contextlib.suppress(TwinError, CommandError):
            return find()
    if speakers:
        speak_of(speakers[-1])
    return find()


def open_database(settings: Settings) -> tuple[Databases, sa.Engine]:
    """The databases, ready for use, and ours opened until the command ends."""
    from twin_resources.database import shards

    found = shards.prepare(settings)
    _opened.append(shards.author_engine(settings))
    return found, _opened[-1]


def close_databases() -> None:
    """Close what the command opened."""
    if _opened:
        from twin_resources.database.shards import speak_of

        speak_of(None)
    while _opened:
        _opened.pop().dispose()


def current_user() -> str:
    """Who types, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
