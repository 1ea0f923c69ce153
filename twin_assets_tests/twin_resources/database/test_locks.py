"""Locks end with their process and say who holds them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from twin_assets_tests.support.processes import within
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.database.locks import Locks, Presence

HOLDING = """
import sys, time, sqlalchemy as sa
from twin_resources.database.locks import Locks, Presence
engine = sa.create_engine(sys.argv[1])
if sys.argv[2] == "presence":
    Presence(engine, "a", "run of ada").start()
    print("held", flush=True)
    time.sleep(600)
with Locks(engine).hold(["a"], "training of ada", print):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def holding(settings: Settings, how: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock ``a``, until it is killed."""
    url = postgres.databases(settings.postgres).engine_url.render_as_string(hide_password=False)
    process = subprocess.Popen([sys.executable, "-c", HOLDING, url, how], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("how", ["lock", "presence"])
def test_kill_frees_a_lock(settings: Settings, engine: sa.Engine, how: str) -> None:
    locks = Locks(engine)
    assert locks.holder("a") is None
    with holding(settings, how) as process:
        holder = locks.holder("a")
        assert holder is not None
        assert f"of ada (process {process.pid} on" in str(holder)
        assert "since 20" in str(holder)
        process.kill()
        assert within(5, lambda: locks.holder("a") is None)


def test_who_waits_is_told_behind_whom_and_goes_on_when_they_are_killed(settings: Settings, engine: sa.Engine) -> None:
    said: list[str] = []
    with holding(settings, "lock") as process:

        def waits(message: str) -> None:
            said.append(message)
            process.kill()

        with Locks(engine).hold(["a"], "training", waits):
            pass
        assert len(said) == 1
        assert f"waiting for a: held by training of ada (process {process.pid} on" in said[0]
        with Locks(engine).hold(["a", "b"], "one", said.append), Locks(engine).hold(["a", "b"], "other", said.append):
            assert len(said) == 1, "any of several will do"
        assert Locks(engine).holder("a") is None


def test_a_presence_comes_back_after_its_connection_was_cut(engine: sa.Engine) -> None:
    presence = Presence(engine, "here", "run")
    presence.start()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as session:
        cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'run (%'"
        assert session.scalar(sa.text(cut)) == 1
    assert within(15, lambda: Locks(engine).holder("here"))
    presence.stop()
    assert within(15, lambda: Locks(engine).holder("here") is None), "the server notices a moment later"
