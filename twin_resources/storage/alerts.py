"""Alerts: opened by what is wrong several times in a row, closed by what is well as often, acknowledged by people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from twin_resources.database.schema import alert
from twin_resources.errors import TwinError

State = Literal["bad", "good", "between"]
ONCE = ("withdrawn_canary",)
"""Rules of what happens in a moment: told once, by the first observation, and never again that it is well."""
_OPEN, _CLOSED, _WATCHED = "open", "closed", "watched"


class AlertError(TwinError):
    """There is no such alert."""


@dataclass(frozen=True)
class Alert:
    """One thing that is or was wrong; ``author`` is None where it concerns all."""

    id: int
    author: str | None
    rule: str
    text: str
    state: str
    opened_at: datetime
    closed_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None

    @property
    def open(self) -> bool:
        """Whether it is still so."""
        return self.state == _OPEN


@dataclass(frozen=True)
class Notice:
    """Something to tell: an alert that ``opened``, is ``still`` open unacknowledged, or ``closed``."""

    event: Literal["opened", "still", "closed"]
    alert: Alert

    def subject(self) -> str:
        """One short line."""
        about = self.alert.author or "all authors"
        if self.alert.rule in ONCE:
            return f"[twin] {about}: {self.alert.rule}"
        return f"[twin] {about}: {self.alert.rule} {'is well again' if self.event == 'closed' else self.event}"

    def line(self) -> str:
        """What a person reads, with what to do."""
        if self.event == "closed" or self.alert.rule in ONCE:
            return f"{self.subject()}: {self.alert.text}"
        return f"{self.subject()}: {self.alert.text}. `twin alerts --acknowledge {self.alert.id}` ends the reminders."

    def as_dict(self) -> dict[str, Any]:
        """What programs read."""
        shown = asdict(self.alert)
        moments = {name: value.isoformat() for name, value in shown.items() if isinstance(value, datetime)}
        return {"event": self.event, **shown, **moments}


class Alerts:
    """Reads and writes the table ``alert``."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def observe(self, rule: str, author: str | None, state: State, text: str, *, patience: int = 1) -> None:
        """Keep how a rule stands now. ``patience`` observations in a row open an alert, and as many close it."""
        about = alert.c.author.is_(None) if author is None else alert.c.author == author
        mine = sa.select(alert).where(alert.c.rule == rule, about, alert.c.closed_at.is_(None)).with_for_update()
        with self.engine.begin() as session:
            key = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")
            session.execute(key, {"key": f"alert {rule} {author or ''}"})
            row = session.execute(mine).mappings().first()
            if row is None:
                if state == "bad":
                    first = _OPEN if patience == 1 else _WATCHED
                    session.execute(sa.insert(alert).values(rule=rule, author=author, text=text, state=first, streak=1))
                return
            here = alert.c.id == row["id"]
            if row["state"] == _WATCHED:
                if state == "good":
                    session.execute(sa.delete(alert).where(here))
                elif state == "bad":
                    streak = row["streak"] + 1
                    opened: dict[str, Any] = {"state": _OPEN, "opened_at": sa.func.now(), "streak": 0}
                    changes = opened if streak >= patience else {"streak": streak}
                    session.execute(sa.update(alert).where(here).values(text=text, **changes))
                return
            streak = row["streak"] + 1 if state == "good" else 0
            if state == "good" and streak >= patience:
                closed = {"state": _CLOSED, "closed_at": sa.func.now()}
                session.execute(sa.update(alert).where(here).values(text=text, **closed))
            else:
                said = {"text": text} if state == "bad" else {}
                session.execute(sa.update(alert).where(here).values(streak=streak, **said))

    def due(self, remind: timedelta) -> list[Notice]:
        """What is still to be told: openings, closings of what was told, and reminders of what nobody acknowledged;
        of :data:`ONCE` only that it happened, even where it is over."""
        late = datetime.now(UTC) - remind
        forgotten = sa.and_(alert.c.told == "opened", alert.c.told_at < late, alert.c.acknowledged_at.is_(None))
        once, untold = alert.c.rule.in_(ONCE), alert.c.told.is_(None)
        opened = sa.and_(alert.c.state == _OPEN, ~once, sa.or_(untold, forgotten))
        closed = sa.and_(alert.c.state == _CLOSED, ~once, alert.c.told == "opened")
        query = sa.select(alert).where(sa.or_(opened, closed, sa.and_(once, untold))).order_by(alert.c.id)
        with self.engine.connect() as session:
            rows = session.execute(query).mappings().all()
        found = []
        for row in rows:
            over = row["state"] == _CLOSED and row["rule"] not in ONCE
            found.append(Notice("closed" if over else "still" if row["told"] else "opened", _alert(row)))
        return found

    def told(self, notice: Notice) -> None:
        """Remember that people know."""
        known = "closed" if notice.event == "closed" else "opened"
        with self.engine.begin() as session:
            change = sa.update(alert).where(alert.c.id == notice.alert.id)
            session.execute(change.values(told=known, told_at=sa.func.now()))

    def acknowledge(self, alert_id: int, *, by: str) -> Alert:
        """End the reminders of an open alert; repeating it changes nothing.

        Raises:
            AlertError: it is unknown, or closed.
        """
        change = (
            sa.update(alert)
            .where(alert.c.id == alert_id, alert.c.state == _OPEN)
            .values(
                acknowledged_at=sa.func.coalesce(alert.c.acknowledged_at, sa.func.now()),
                acknowledged_by=sa.func.coalesce(alert.c.acknowledged_by, by),
            )
            .returning(alert)
        )
        with self.engine.begin() as session:
            row = session.execute(change).mappings().first()
        if row is None:
            raise AlertError(f"no alert {alert_id} is open; `twin alerts` lists those that are")
        return _alert(row)

    def list(self, *, author: str | None = None, closed: bool = False, limit: int = 100) -> Sequence[Alert]:
        """The newest alerts: open ones, and with ``closed`` those that were."""
        states = (_OPEN, _CLOSED) if closed else (_OPEN,)
        query = sa.select(alert).where(alert.c.state.in_(states)).order_by(alert.c.opened_at.desc(), alert.c.id.desc())
        if author is not None:
            query = query.where(sa.or_(alert.c.author == author, alert.c.author.is_(None)))
        with self.engine.connect() as session:
            return [_alert(row) for row in session.execute(query.limit(limit)).mappings()]

    def purge(self, days: int) -> int:
        """Delete alerts that were closed longer ago; returns how many."""
        old = alert.c.closed_at < datetime.now(UTC) - timedelta(days=days)
        with self.engine.begin() as session:
            return session.execute(sa.delete(alert).where(old)).rowcount


def _alert(row: Any) -> Alert:
    return Alert(**{name: row[name] for name in Alert.__dataclass_fields__})
