"""Work waits for a place, and only so much of it."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import statistics
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import pytest

from twin_resources.runtime.places import PATIENCE, Admission, Busy, Entry, Places


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_so_much_runs_so_much_waits_and_the_rest_is_refused_at_once() -> None:
    places = Places("test", running=2, waiting=3)
    begun, may_end = threading.Semaphore(0), threading.Event()
    refused: list[Busy] = []
    done: list[int] = []

    def work(number: int) -> int:
        begun.release()
        assert may_end.wait(60)
        return number

    async def ask(number: int) -> None:
        try:
            done.append(await places.run(work, number))
        except Busy as error:
            refused.append(error)

    async with anyio.create_task_group() as tasks:
        for number in range(7):
            tasks.start_soon(ask, number)
        while len(refused) < 2:
            await anyio.sleep(0.001)
        assert done == []
        may_end.set()
    assert sorted(done) == [0, 1, 2, 3, 4]
    assert begun.acquire(blocking=False)
    assert "5 questions are answered or waiting already" in str(refused[0])
    assert refused[0].retry_after > 0
    assert await places.run(len, "free again") == 10


@pytest.mark.anyio
async def test_what_fails_gives_its_place_back() -> None:
    places = Places("failing", running=1, waiting=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await places.run(lambda: 1 // 0)


@pytest.mark.anyio
async def test_who_has_to_wait_for_a_place_is_told_so_once_it_is_let_in() -> None:
    places = Places("waiting", running=1, waiting=1)
    begun, may_end = threading.Event(), threading.Event()
    waits: list[int] = []

    def work(number: int) -> int:
        begun.set()
        assert may_end.wait(60)
        return number

    async def ask(number: int) -> None:
        with contextlib.suppress(Busy):
            await places.run(work, number, waits=lambda: waits.append(number))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, 1)
        await anyio.to_thread.run_sync(begun.wait)
        tasks.start_soon(ask, 2)
        tasks.start_soon(ask, 3)
        while not waits:
            await anyio.sleep(0.001)
        may_end.set()
    assert waits == [2]


ALONE, EACH = 0.03, 0.015
ROOM = 36


@dataclass
class Server:
    """One after the other is answered: in :data:`ALONE` where nobody else is there, else each :data:`EACH` after the
    one before. Each takes ``slower`` times as long; time is what it is told."""

    now: float = 0.0
    slower: float = 1.0
    took: list[float] = field(default_factory=list)
    refused: list[Busy] = field(default_factory=list)
    inside: deque[Entry] = field(default_factory=deque)
    ends: float = 0.0

    def __post_init__(self) -> None:
        self.admission = Admission(ROOM, lambda: self.now)

    def answer_until(self, until: float) -> int:
        """Go on to a time; returns how many were answered."""
        answered = 0
        while self.inside and self.ends <= until:
            self.now = self.ends
            entry = self.inside.popleft()
            self.admission.leave(entry, well=True)
            self.took.append(self.now - entry.at)
            self.begin_next()
            self.ends += EACH * self.slower
            answered += 1
        self.now = until
        return answered

    def begin_next(self) -> None:
        while self.inside:
            try:
                self.admission.begin(self.inside[0])
                break
            except Busy as error:
                self.refused.append(error)
                self.admission.leave(self.inside.popleft(), well=False)

    def ask(self, at: float) -> None:
        self.answer_until(at)
        try:
            entry = self.admission.enter()
        except Busy as error:
            self.refused.append(error)
            return
        if not self.inside:
            self.ends = at + ALONE * self.slower
        self.inside.append(entry)

    def all_ask(self, times: Iterable[float]) -> None:
        for at in times:
            self.ask(at)


def _by_the_clock(start: float, seconds: float, rate: float) -> list[float]:
    return [start + number / rate for number in range(int(seconds * rate))]


@pytest.fixture
def server() -> Server:
    """One that has answered some questions, each alone."""
    server = Server()
    server.all_ask(_by_the_clock(0, 10, 2))
    server.answer_until(20)
    assert max(server.took) == pytest.approx(ALONE)
    server.took.clear()
    return server


@pytest.mark.parametrize("seconds", [8, 30])
def test_where_four_times_as_much_is_asked_as_can_be_answered_who_is_let_in_waits_no_longer_than_twice(
    server: Server, seconds: int
) -> None:
    server.all_ask(_by_the_clock(20, seconds, 4 / EACH))
    server.answer_until(60)
    assert statistics.quantiles(server.took, n=20)[-1] <= PATIENCE * ALONE
    assert len(server.took) > 0.9 * seconds / EACH, "it is seldom without work"
    assert len(server.took) + len(server.refused) == pytest.approx(4 * seconds / EACH, abs=1)


def test_readers_who_ask_again_when_they_are_answered_are_never_refused(server: Server) -> None:
    server.all_ask([20.0] * 16)
    for step in itertools.count():
        at = 20 + step * EACH / 2
        if at > 50:
            break
        server.all_ask([at] * server.answer_until(at))
    assert len(server.took) > 0.95 * 30 / EACH
    assert not server.refused


def test_readers_who_go_on_after_an_overload_are_all_let_in_again(server: Server) -> None:
    """Each asks again when it was answered, or when it was told to."""
    server.all_ask(_by_the_clock(20, 30, 4 / EACH))
    server.took.clear()
    waiting = [50.0] * 16
    last = 0.0
    for step in itertools.count():
        at = 50 + step * EACH / 2
        if at > 90:
            break
        ready = server.answer_until(at) + sum(each <= at for each in waiting)
        waiting = [each for each in waiting if each > at]
        for _ in range(ready):
            before = len(server.refused)
            server.ask(at)
            if len(server.refused) > before:
                last = at
                waiting.append(at + server.refused[-1].retry_after)
    assert last < 65
    assert len(server.took) > 0.9 * 40 / EACH


def test_as_many_as_there_is_room_for_may_come_at_once(server: Server) -> None:
    for start in (20.0, 22.0, 24.0):
        server.all_ask([start] * (ROOM + 1))
    assert len(server.refused) == 3
    server.answer_until(30)
    assert len(server.took) == 3 * ROOM


def test_who_comes_back_when_it_was_told_to_is_let_in(server: Server) -> None:
    first = len(server.refused)
    server.all_ask([20.0] * 50)
    waiting = [(20.0 + each.retry_after, 1) for each in server.refused[first:]]
    heapq.heapify(waiting)
    tries: list[int] = []
    while waiting:
        at, tried = heapq.heappop(waiting)
        refused = len(server.refused)
        server.ask(at)
        tries.append(tried)
        if len(server.refused) > refused:
            heapq.heappush(waiting, (at + server.refused[-1].retry_after, tried + 1))
    server.answer_until(40)
    assert len(server.took) == 50
    assert max(tries) == 1


def test_once_less_is_asked_again_everybody_is_let_in(server: Server) -> None:
    server.all_ask(_by_the_clock(20, 10, 4 / EACH))
    refused = len(server.refused)
    server.answer_until(32)
    server.all_ask([32.0] * 16)
    assert len(server.refused) == refused


def test_an_overload_from_the_start_is_measured_one_by_one() -> None:
    server = Server()
    server.all_ask(_by_the_clock(0, 30, 4 / EACH))
    assert statistics.quantiles(server.took, n=20)[-1] <= PATIENCE * ALONE


def test_what_an_overload_slows_down_says_nothing_of_how_long_one_takes_alone(server: Server) -> None:
    """To refuse takes time as well, so that in an overload also who is inside alone is slower."""
    server.slower = 1.8
    server.all_ask(_by_the_clock(20, 30, 4 / EACH))
    server.answer_until(50)
    server.slower = 1.0
    server.took.clear()
    server.all_ask(_by_the_clock(50, 8, 4 / EACH))
    server.answer_until(60)
    assert statistics.quantiles(server.took, n=20)[-1] <= PATIENCE * ALONE


def test_what_fails_at_once_does_not_make_the_others_seem_slow(server: Server) -> None:
    for number in range(40):
        server.now = 20 + number
        server.admission.leave(server.admission.enter(), well=False)
    server.all_ask(_by_the_clock(70, 30, 4 / EACH))
    assert len(server.took) > 0.95 * 30 / EACH
