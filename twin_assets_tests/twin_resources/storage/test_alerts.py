"""When an alert opens and closes, and what is told of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from twin_resources.config.settings import Settings
from twin_resources.storage.alerts import AlertError, Alerts
from twin_resources.storage.sources import Authors

DAY = timedelta(days=1)


@pytest.fixture
def alerts(engine: sa.Engine, settings: Settings) -> Alerts:
    for author in settings.authors:
        Authors(engine).record(author)
    return Alerts(engine)


def see(alerts: Alerts, *states: str) -> None:
    for state in states:
        alerts.observe("failures", "ada", state, f"it is {state}", patience=2)  # pyright: ignore[reportArgumentType]


def events(alerts: Alerts, remind: timedelta = DAY) -> list[str]:
    """What is due, which is told with that."""
    due = alerts.due(remind)
    for notice in due:
        alerts.told(notice)
    return [notice.event for notice in due]


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (["bad"], []),
        (["bad", "good", "bad"], []),  # flickers
        (["bad", "between", "bad"], ["opened"]),
        (["bad", "bad", "bad"], ["opened"]),
        (["good", "good"], []),
    ],
)
def test_what_is_wrong_twice_in_a_row_opens_one_alert(alerts: Alerts, seen: list[str], told: list[str]) -> None:
    see(alerts, *seen)
    assert events(alerts) == told
    assert events(alerts) == [], "once"


def withdraw(alerts: Alerts, state: str) -> None:
    alerts.observe("withdrawn_canary", "ada", state, "ada-2 was withdrawn")  # pyright: ignore[reportArgumentType]


def test_what_happens_once_is_told_once_and_never_that_it_is_well(alerts: Alerts) -> None:
    withdraw(alerts, "bad")
    [notice] = alerts.due(DAY)
    assert notice.line() == "[twin] ada: withdrawn_canary: ada-2 was withdrawn"
    assert events(alerts) == ["opened"]
    assert events(alerts, remind=timedelta(0)) == [], "nobody is reminded of it"
    assert [each.rule for each in alerts.list()] == ["withdrawn_canary"], "it shows until something is decided"
    withdraw(alerts, "good")
    assert (events(alerts), alerts.list()) == ([], [])


def test_what_happened_and_is_over_before_anybody_looked_is_told_all_the_same(alerts: Alerts) -> None:
    withdraw(alerts, "bad")
    withdraw(alerts, "good")
    assert events(alerts) == ["opened"]
    assert events(alerts) == []


def test_it_closes_when_it_is_well_as_often_and_says_so(alerts: Alerts) -> None:
    see(alerts, "bad", "bad")
    assert events(alerts) == ["opened"]
    see(alerts, "good", "between", "good", "bad", "good")
    assert events(alerts) == []
    see(alerts, "good")
    assert events(alerts) == ["closed"]
    assert alerts.list() == []
    (old,) = alerts.list(closed=True)
    assert (old.state, old.text) == ("closed", "it is good")
    see(alerts, "bad", "bad")
    assert events(alerts) == ["opened"], "the next time is another alert"


def test_what_nobody_was_told_of_closes_in_silence(alerts: Alerts) -> None:
    see(alerts, "bad", "bad", "good", "good")
    assert events(alerts) == []


def test_nobody_is_reminded_of_what_was_acknowledged(alerts: Alerts) -> None:
    see(alerts, "bad", "bad")
    assert events(alerts) == ["opened"]
    assert events(alerts, timedelta(0)) == ["still"]
    (mine,) = alerts.list()
    assert alerts.acknowledge(mine.id, by="ada").acknowledged_by == "ada"
    assert alerts.acknowledge(mine.id, by="bo").acknowledged_by == "ada", "the first to know stays"
    assert events(alerts, timedelta(0)) == []
    see(alerts, "good", "good")
    assert events(alerts) == ["closed"]
    with pytest.raises(AlertError, match="`twin alerts` lists those that are"):
        alerts.acknowledge(mine.id, by="ada")


def test_authors_are_told_apart_and_what_concerns_all_shows_with_each(alerts: Alerts) -> None:
    alerts.observe("failures", "ada", "bad", "a")
    alerts.observe("failures", "bo", "bad", "b")
    alerts.observe("dead_daemon", None, "bad", "c")
    assert [each.text for each in alerts.list(author="ada")] == ["c", "a"]
    assert {each.text for each in alerts.list()} == {"a", "b", "c"}
    alerts.observe("dead_daemon", None, "good", "c")
    assert [each.text for each in alerts.list(author="bo")] == ["b"]


def test_old_alerts_go(alerts: Alerts, engine: sa.Engine) -> None:
    see(alerts, "bad", "bad", "good", "good")
    assert alerts.purge(1) == 0
    with engine.begin() as session:
        session.execute(sa.text("UPDATE alert SET closed_at = now() - interval '2 days'"))
    assert alerts.purge(1) == 1
