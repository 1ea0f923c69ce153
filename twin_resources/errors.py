"""What went wrong, in words for the person who can do something about it."""

from __future__ import annotations


class TwinError(Exception):
    """The base of every error that a person may see.

    ``message`` says what was wrong and where; ``remedy`` what to do next, where the message does not say so itself.
    Whoever reports errors prints these as they are, and takes any other exception for a defect.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class SourceError(TwinError):
    """A whole source cannot be read: names the location, the reason and what to do."""


class JobError(TwinError):
    """A job did not end well in the place that it was given, or got none; the message says why and what to do."""
