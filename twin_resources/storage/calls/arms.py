"""The two sides of a canary: the conversations that it answers and those that the champion does, over the same time."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from twin_resources.database.schema import interaction
from twin_resources.storage.calls.interactions import RATED
from twin_resources.storage.releases import Canary

UNSUPPORTED = 0.5
"""An answer of which a smaller share is supported counts as one that is not."""


@dataclass(frozen=True)
class Arm:
    """One side: its conversations, and in how many of them something was wrong at least once.

    A call outside of a conversation belongs to that of its key and its first message.

    Attributes:
        failed: a call failed.
        silent: an answer said that nothing was written.
        unsupported: less than half of an answer was supported.
        down: an answer was rated down.
    """

    conversations: int = 0
    calls: int = 0
    failed: int = 0
    silent: int = 0
    unsupported: int = 0
    down: int = 0


@dataclass(frozen=True)
class Arms:
    """Both sides of a canary; readers are where they are because it was drawn, and for no other reason."""

    canary: Arm
    champion: Arm


def arms(engine: sa.Engine, author_id: str, canary: Canary) -> Arms:
    """What became of the calls since a canary began whose conversation was drawn, counted by the database."""
    drawn = (interaction.c.author == author_id, interaction.c.at >= canary.since, interaction.c.draw.is_not(None))
    each = (
        sa.select(
            interaction.c.draw,
            sa.func.count().label("calls"),
            *(
                sa.func.coalesce(sa.func.bool_or(wrong), sa.false()).label(name)
                for name, wrong in (
                    ("failed", interaction.c.error.is_not(None)),
                    ("silent", interaction.c.abstained),
                    ("unsupported", interaction.c.support < UNSUPPORTED),
                    ("down", RATED.c.rating == "down"),
                )
            ),
        )
        .select_from(interaction.outerjoin(RATED, RATED.c.trace_id == interaction.c.id))
        .where(*drawn)
        .group_by(interaction.c.draw)
        .subquery()
    )
    on_canary = each.c.draw < canary.share
    wrong = (each.c.failed, each.c.silent, each.c.unsupported, each.c.down)
    query = sa.select(
        on_canary,
        sa.func.count(),
        sa.cast(sa.func.sum(each.c.calls), sa.Integer),
        *(sa.func.count().filter(column) for column in wrong),
    ).group_by(on_canary)
    with engine.connect() as session:
        found = {side: Arm(*counts) for side, *counts in session.execute(query)}
    return Arms(found.get(True, Arm()), found.get(False, Arm()))
