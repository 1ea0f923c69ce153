"""The API under load: quotations for many readers, more questions than it takes, champions that change meanwhile.

    python -m benchmarks.load --seconds 300 --swaps 100 --questions 10000

The sample author's articles are searched, by a process of its own; the readers, in another, share the machine with it.
No question is asked twice, as vectors of questions are kept. Readers ask again as soon as they are answered, or when
they were told to; at an overload questions come by the clock, four times as many as were answered before. A champion
changes while sixteen readers read what it writes; the engine is one that says its adapter's name.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import multiprocessing
import ssl
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import sqlalchemy as sa

from benchmarks import corpus, gateway
from benchmarks.features import ROOT
from benchmarks.search import served
from benchmarks.table import Table, machine, p95
from twin_assets.embed.job import embed, embed_sentences
from twin_assets_tests.support.site import add_adapter
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.sentences import SentenceIndex
from twin_resources.retrieval.vectors import VectorIndex
from twin_resources.sources.registry import registry
from twin_resources.storage.releases import Releases

AUTHOR = corpus.author("ada", "Mira Solberg")
READERS = (1, 16, 64)
OVERLOAD = 4
SWAPPING_READERS = 16
GO_ON = {"model": f"twin/{AUTHOR.id}", "messages": [{"role": "user", "content": "Go on."}], "use_rag": False}
SECONDS = 30.0
SWAPS = 20
QUESTIONS = 2_000
PARTS = 5


@dataclass
class Answers:
    """What came of the questions of one turn: milliseconds of the answers and of the refusals, and other statuses."""

    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)
    ended: float = 0.0

    def __len__(self) -> int:
        return len(self.answered) + len(self.refused) + len(self.failed)

    @property
    def rate(self) -> float:
        """Answers a second, from the first question to the last answer."""
        return len(self.answered) / (self.ended - self.began)

    async def ask(self, client: httpx.AsyncClient, question: str) -> float:
        """Ask and note what came of it; returns in how many seconds to ask again."""
        start = time.perf_counter()
        try:
            response = await client.post("/ask", json={"query": question, "mode": "quote"})
        except httpx.HTTPError as error:
            self.failed.append(repr(error))
            return 1.0
        self.ended = time.perf_counter()
        took = (self.ended - start) * 1000
        if response.status_code == 200:
            self.answered.append(took)
        elif response.status_code == 429:
            self.refused.append(took)
            return float(response.headers["Retry-After"])
        else:
            self.failed.append(f"{response.status_code}: {response.text[:200]}")
        return 0.0


def questions(turn: str) -> Iterator[str]:
    """Questions on the sample author that need no earlier turn, without end and none like another of any turn."""
    path = ROOT / "benchmarks" / "questions" / "mira.jsonl"
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    alone = [each["question"] for each in found if not each.get("history")]
    return (f"({turn} {number}) {text}" for number, text in enumerate(itertools.cycle(alone)))


def prepared(home: Path) -> tuple[Settings, sa.Engine]:
    """A home in which the sample author's articles are searched."""
    settings = Settings(authors=(AUTHOR,), home=home)
    engine = postgres.engine(postgres.prepare(settings.postgres))
    source = registry()["medium_export"](str(ROOT / "examples" / "sample" / "medium"), AUTHOR.author)
    corpus.take(engine, settings, AUTHOR, source, source.read())
    index, embedder = VectorIndex(engine, settings.models.embedding), Embedder.of(settings)
    embed(index, embedder, AUTHOR.id)
    embed_sentences(SentenceIndex(engine, settings.models.embedding), embedder, AUTHOR.id)
    index.ensure_index()
    index.publish(AUTHOR.id)
    return settings, engine


@dataclass
class Readers:
    """A client for each who asks at the same time: one with hundreds of connections looks through all of them at each
    question, and in an overload is slower than what it measures."""

    url: str
    idle: list[httpx.AsyncClient] = field(default_factory=list)
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    async def ask(self, found: Answers, question: str) -> float:
        """Have one who asks nothing now ask this; returns in how many seconds to ask again."""
        new = not self.idle
        client = httpx.AsyncClient(base_url=self.url, timeout=60, verify=self.tls) if new else self.idle.pop()
        again = await found.ask(client, question)
        self.idle.append(client)
        return again

    async def aclose(self) -> None:
        """End all connections."""
        for client in self.idle:
            await client.aclose()


def _elsewhere(readers: Callable[..., Coroutine[Any, Any, Answers]], *told: object) -> Answers:
    """What readers found who ask from a process of their own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_run, readers, *told).result()


def _run(readers: Callable[..., Coroutine[Any, Any, Answers]], *told: object) -> Answers:
    return asyncio.run(readers(*told))


async def _closed(url: str, readers: int, seconds: float) -> Answers:
    """So many readers, each of whom asks again as soon as it is answered."""
    found, asked = Answers(), questions(f"{readers} for {seconds:.0f}")
    end = time.perf_counter() + seconds

    async def read(each: Readers) -> None:
        while time.perf_counter() < end:
            await asyncio.sleep(await each.ask(found, next(asked)))

    await _together(url, readers, read)
    return found


async def _together(url: str, readers: int, read: Callable[[Readers], Coroutine[Any, Any, None]]) -> None:
    async with contextlib.aclosing(Readers(url)) as each, asyncio.TaskGroup() as tasks:
        for _ in range(readers):
            tasks.create_task(read(each))


async def _open(url: str, rate: float, seconds: float) -> Answers:
    """Questions by the clock, whether those before are answered or not."""
    found, asked = Answers(), questions("clock")
    start = time.perf_counter()
    async with contextlib.aclosing(Readers(url)) as readers, asyncio.TaskGroup() as tasks:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
            tasks.create_task(readers.ask(found, next(asked)))
    return found


def _memory() -> float:
    """Resident memory of the API in MB."""
    (process,) = multiprocessing.active_children()
    return psutil.Process(process.pid).memory_info().rss / 2**20


@dataclass(frozen=True)
class Capacity:
    """The most answers a second, and within how many milliseconds 95% of one reader's come."""

    rate: float
    alone: float


def quotations(table: Table, client: httpx.Client, seconds: float) -> Capacity:
    """Quotations for some and many readers."""
    _elsewhere(_closed, str(client.base_url), 4, 5)
    rates: list[float] = []
    alone = 0.0
    for readers in READERS:
        before = _memory()
        found = _elsewhere(_closed, str(client.base_url), readers, seconds)
        what = f"quotations, {readers} reader{'s' * (readers > 1)}"
        table.add(f"{what}: answers", found.rate, "answers/s")
        table.spread(what, found.answered)
        table.add(f"{what}: refused", len(found.refused) / max(1, len(found)), "share")
        table.add(f"{what}: errors", len(found.failed), "of all")
        table.add(f"{what}: memory of the API at the end", _memory(), "MB")
        table.add(f"{what}: memory, more than at their beginning", _memory() - before, "MB")
        rates.append(found.rate)
        alone = alone or p95(found.answered)
        if found.failed:
            table.note(f"{what}: {found.failed[0]}")
    return Capacity(max(rates), alone)


def overload(table: Table, client: httpx.Client, capacity: Capacity, seconds: float) -> None:
    """More questions than it takes."""
    found = _elsewhere(_open, str(client.base_url), OVERLOAD * capacity.rate, seconds)
    what = f"{OVERLOAD} times as many questions"
    table.add(f"{what}: asked", len(found) / (found.ended - found.began), "questions/s")
    table.add(f"{what}: answers", found.rate, "answers/s")
    table.spread(f"{what}: those answered", found.answered)
    table.add(f"{what}: p95 of those answered, by that of one reader", p95(found.answered) / capacity.alone, "times")
    table.add(f"{what}: refused", len(found.refused) / max(1, len(found)), "share")
    if len(found.refused) > 1:
        table.spread(f"{what}: those refused", found.refused)
    table.add(f"{what}: errors", len(found.failed), "of all")
    if found.failed:
        table.note(f"{what}: {found.failed[0]}")


async def _some(url: str, turn: int, count: int) -> Answers:
    """So many questions by sixteen readers."""
    found, asked = Answers(), itertools.islice(questions(f"of many {turn}"), count)

    async def read(each: Readers) -> None:
        for question in asked:
            await asyncio.sleep(await each.ask(found, question))

    await _together(url, SWAPPING_READERS, read)
    return found


def growth(table: Table, client: httpx.Client, count: int) -> None:
    """The API's memory while it answers many questions, each new."""
    for turn in range(PARTS):
        found = _elsewhere(_some, str(client.base_url), turn, count // PARTS)
        what = f"{count:,} new questions, {turn + 1} of {PARTS} parts"
        table.add(f"{what}: answers", found.rate, "answers/s")
        table.add(f"{what}: refused", len(found.refused) / max(1, len(found)), "share")
        table.add(f"{what}: memory of the API", _memory(), "MB")


def _writer(response: httpx.Response) -> str | None:
    """The version that wrote a whole answer; None where there is none."""
    return str(response.json()["model"]).partition("@")[2] if response.status_code == 200 else None


async def _read_on(client: httpx.AsyncClient, until: asyncio.Event, wrong: list[str], whole: list[str]) -> None:
    while not until.is_set():
        try:
            response = await client.post("/v1/chat/completions", json=GO_ON)
        except httpx.HTTPError as error:
            wrong.append(repr(error))
            continue
        version = _writer(response)
        if version is None:
            wrong.append(f"{response.status_code}: {response.text[:200]}")
            continue
        words = set(response.json()["choices"][0]["message"]["content"].split())
        if words != {version}:
            wrong.append(f"{version} said {sorted(words)[:3]}")
        whole.append(version)


async def _swap(url: str, releases: Releases, swaps: int) -> tuple[list[str], list[str], list[float]]:
    wrong: list[str] = []
    whole: list[str] = []
    took: list[float] = []
    until = asyncio.Event()
    limits = httpx.Limits(max_connections=SWAPPING_READERS)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client, asyncio.TaskGroup() as tasks:
        for _ in range(SWAPPING_READERS):
            tasks.create_task(_read_on(client, until, wrong, whole))
        for number in range(swaps):
            version = f"load-{'ab'[number % 2]}"
            start = time.perf_counter()
            await asyncio.to_thread(releases.approve, version, by="bench")
            while whole[-1:] != [version]:
                await asyncio.sleep(0.01)
            took.append((time.perf_counter() - start) * 1000)
        until.set()
    return wrong, whole, took


def swapping(table: Table, settings: Settings, database: sa.Engine, swaps: int) -> None:
    """Champions that change while readers read."""
    folder = settings.home / "adapter"
    folder.mkdir()
    for version in ("load-a", "load-b"):
        (folder / "adapter_config.json").write_text(json.dumps({"name": version}), encoding="utf-8")
        add_adapter(settings, database, version, folder)
    releases = Releases(database)
    releases.approve("load-b", by="bench")
    with gateway.engine() as port:
        changed = settings.model_copy(update={"engine_url": f"http://127.0.0.1:{port}"})
        with served(changed, engine=True) as client:
            while _writer(client.post("/v1/chat/completions", json=GO_ON)) != "load-b":
                time.sleep(0.2)
            wrong, whole, took = asyncio.run(_swap(str(client.base_url), releases, swaps))
    what = f"{swaps} changes of the champion, {SWAPPING_READERS} readers"
    table.add(f"{what}: whole answers", len(whole), "answers")
    table.add(f"{what}: failed or mixed", len(wrong), "answers")
    table.add(f"{what}: until the new one answers, p50", statistics.median(took), "ms")
    if wrong:
        table.note(f"{what}: {wrong[0]}")


@contextlib.contextmanager
def _stopping(settings: Settings) -> Iterator[None]:
    try:
        yield
    finally:
        postgres.stop(settings.postgres)


def measure(table: Table, home: Path, seconds: float = SECONDS, swaps: int = SWAPS, count: int = QUESTIONS) -> None:
    """All four, in a home of its own."""
    settings, database = prepared(home)
    with _stopping(settings):
        with served(settings) as client:
            capacity = quotations(table, client, seconds)
            overload(table, client, capacity, seconds)
            growth(table, client, count)
        swapping(table, settings, database, swaps)
        database.dispose()


def main() -> None:
    """Measure for as long as asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each turn")
    parser.add_argument("--swaps", type=int, default=SWAPS, help="changes of the champion")
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="new ones, while memory is looked at")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    table = Table()
    with tempfile.TemporaryDirectory(prefix="twin-load-") as home:
        measure(table, Path(home), chosen.seconds, chosen.swaps, chosen.questions)
    print(f"\n{machine()}\n\n{table.markdown()}")


if __name__ == "__main__":
    main()
