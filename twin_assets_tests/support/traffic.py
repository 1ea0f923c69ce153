"""Invented calls of readers over some weeks, the same each time."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from twin_resources.database.schema import feedback, interaction

COVERED = (
    "How often does the gauge write a reading?",
    "What do I do with a wrong entry in the log?",
    "How are ferry crossings kept on time?",
    "Where does the gauge at Skarvik stand?",
    "Who reads the tide tables?",
)
NEW = (
    "How do I store readings in Postgres?",
    "Can Postgres hold a year of readings?",
    "Which index does Postgres need for readings?",
)
GAPS = (
    (
        "Do you use solar panels on the pier?",
        "Is the pier powered by solar panels?",
        "What solar panels has the pier?",
    ),
    ("How much does a gauge cost?", "What is the price of a gauge?"),
    ("What is your favourite book about the sea?",),
)


def write_traffic(engine: sa.Engine, author: str, *, now: datetime, days: int = 14, a_day: int = 9) -> int:
    """Calls of ``days`` days (UTC) up to ``now``; in the last seven about Postgres too. Returns how many."""
    rng = random.Random(7)
    calls: list[dict[str, Any]] = []
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for back in range(days):
        for number in range(a_day + (3 - back % 7 if back % 7 < 3 else -2)):
            at = midnight - timedelta(days=back) + timedelta(hours=8, minutes=47 * number)
            if at < now:
                calls.append(_call(author, f"{author}-{back}-{number}", at, rng, recent=back < 7))
    rated = [each["id"] for each in calls if each["mode"] == "quote" and not each["abstained"] and not each["error"]]
    with engine.begin() as session:
        session.execute(sa.insert(interaction), calls)
        ratings = [
            {"trace_id": each, "rating": "down" if row % 5 == 4 else "up"} for row, each in enumerate(rated[::3])
        ]
        if ratings:
            session.execute(sa.insert(feedback), ratings)
    return len(calls)


def _call(author: str, key: str, at: datetime, rng: random.Random, *, recent: bool) -> dict[str, Any]:
    kind = rng.choices(("quote", "silent", "generate", "write", "search", "failed"), (10, 4, 4, 1, 2, 0.4))[0]
    common = NEW if recent and rng.random() < 0.45 else COVERED
    gap = rng.choices(GAPS, (4, 2, 1))[0]
    milliseconds = {"quote": 90, "silent": 80, "generate": 2600, "write": 6200, "search": 40, "failed": 900}[kind]
    answered = kind in ("quote", "generate", "write")
    return {
        "id": key,
        "author": author,
        "call": "search" if kind == "search" else "ask",
        "query": rng.choice(gap) if kind == "silent" else rng.choice(common),
        "answer": {"silent": "I haven't written about that.", "search": None, "failed": None}.get(kind, "So."),
        "version": f"{author}-3f2c" if kind in ("generate", "write") else None,
        "base": "base",
        "citations": [{"chunk_id": "c", "cited": True}] if answered else [],
        "usage": {},
        "timings_ms": {"total": round(milliseconds * rng.uniform(0.6, 2.2), 1)},
        "error": "the engine is gone" if kind == "failed" else None,
        "at": at,
        "mode": {"silent": "quote", "search": None, "failed": "generate"}.get(kind, kind),
        "abstained": None if kind in ("search", "failed") else kind == "silent",
        "support": {"quote": 1.0, "generate": 0.9, "write": 0.55}.get(kind),
        "found": 0 if kind == "search" and rng.random() < 0.3 else 6,
    }
