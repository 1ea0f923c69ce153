"""What pydantic found wrong, in words for a person; the settings and the API say it in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError


@dataclass(frozen=True)
class WrongField:
    """One thing that is wrong: its ``path`` from the top, as keys and indices, and the ``message``."""

    path: Sequence[int | str]
    message: str

    @property
    def field(self) -> str:
        """The path with dots; empty for the whole."""
        return ".".join(str(part) for part in self.path)

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.path else self.message


def wrong_fields(error: ValidationError) -> list[WrongField]:
    """Everything that is wrong, in the order in which it was found."""
    return [WrongField(each["loc"], each["msg"].removeprefix("Value error, ")) for each in error.errors()]


def sentence(error: ValidationError) -> str:
    """Everything that is wrong, in a line."""
    return "; ".join(str(each) for each in wrong_fields(error))
