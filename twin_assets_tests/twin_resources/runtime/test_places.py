"""Work waits for a place, and only so much of it."""

from __future__ import annotations

import threading

import anyio
import pytest

from twin_resources.runtime.places import Busy, Places


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
    assert "3 questions are waiting already" in str(refused[0])
    assert refused[0].retry_after > 0
    assert await places.run(len, "free again") == 10


@pytest.mark.anyio
async def test_what_fails_gives_its_place_back() -> None:
    places = Places("failing", running=1, waiting=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await places.run(lambda: 1 // 0)
