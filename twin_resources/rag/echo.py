"""Small models often begin by saying what they were asked to do; that is not part of what they wrote."""

from __future__ import annotations

import re

_BEFORE = "#>*\"'“”‘’ \t\n"
"""What may stand before the repeated words."""


def without_echo(instruction: str, text: str) -> str:
    """``text`` without a first line that only repeats ``instruction``; all of it where nothing would be left."""
    echo = EchoFilter(instruction)
    return echo.feed(text) + echo.rest()


class EchoFilter:
    """Holds back the beginning of a text until it is clear whether it repeats the instruction."""

    def __init__(self, instruction: str) -> None:
        self._asked = _plain(instruction)
        said = r"\s+".join(re.escape(word) for word in instruction.split())
        self._echo = re.compile(rf"[{_BEFORE}]*{said}\W*?(?:\n+|\Z)", re.I) if said else None
        self._held = ""

    def feed(self, piece: str) -> str:
        """What may be told after ``piece``."""
        if self._echo is None:
            return piece
        self._held += piece
        begins = _plain(self._held)
        over = begins.removeprefix(self._asked) if begins.startswith(self._asked) else None
        undecided = self._asked.startswith(begins) if over is None else not re.search(r"\w", over)
        return "" if undecided else self._released()

    def rest(self) -> str:
        """What was held back to the end."""
        return self._released() if self._echo else ""

    def _released(self) -> str:
        held, echo = self._held, self._echo
        self._held, self._echo = "", None
        assert echo is not None
        found = echo.match(held)
        return (found and held[found.end() :]) or held


def _plain(text: str) -> str:
    return " ".join(text.lstrip(_BEFORE).casefold().split())
