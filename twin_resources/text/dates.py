"""Dates as the platforms print them, read into timezone-aware UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def parse_utc(text: str) -> datetime | None:
    """``text`` as UTC: ISO 8601 with or without time and zone, ``2025-07-01 14:33:22 UTC``, or RFC 2822.

    A date without a zone is taken as UTC. Empty text is None.

    Raises:
        ValueError: the text is not a date.
    """
    text = text.strip()
    if not text:
        return None
    iso = re.sub(r"(?<=\d) UTC$", "", text)
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError, OverflowError) as problem:
            raise ValueError(f"not a date: {text[:60]!r}") from problem
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as problem:
        raise ValueError(f"not a date: {text[:60]!r}") from problem


def utc_or_none(text: str) -> datetime | None:
    """As :func:`parse_utc`, with None for what is not a date: an odd date must not cost the author the text."""
    try:
        return parse_utc(text)
    except ValueError:
        return None
