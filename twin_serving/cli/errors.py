"""What a command says when it fails: one line, and where it comes from with ``TWIN_DEBUG=1``."""

from __future__ import annotations

import os
import traceback
from typing import NoReturn

import typer

from twin_resources.errors import TwinError


class CommandError(TwinError):
    """A command cannot do what was asked; the message says why and what to do."""


def _debugging() -> bool:
    return os.environ.get("TWIN_DEBUG", "") not in ("", "0")


def report(error: Exception) -> NoReturn:
    """Print an error as a person can use it, and leave with exit code 1.

    Errors of ours say themselves what to do; anything else is taken for a defect.
    """
    if _debugging():
        traceback.print_exception(error)
    ours = isinstance(error, TwinError)
    text = str(error).strip() or type(error).__name__
    lines = text.splitlines() if ours else [f"{_kind(error)}: {text.splitlines()[0]}"]
    for line in lines:
        typer.echo(f"twin: {line}", err=True)
    if not ours and not _debugging():
        typer.echo("twin: set TWIN_DEBUG=1 to see where; `twin doctor` looks for what is missing", err=True)
    raise typer.Exit(1)


def _kind(error: Exception) -> str:
    """What an error that is none of ours means to a person."""
    import httpx
    import psycopg
    from sqlalchemy.exc import OperationalError

    match error:
        case OperationalError() | psycopg.OperationalError():
            return "the database did not answer"
        case httpx.ConnectError():
            return "nothing answers there"
        case httpx.ReadTimeout():
            return "no answer in time"
        case _:
            return f"unexpected {type(error).__name__}"
