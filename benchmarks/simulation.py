"""What many authors ask of machines: collection, training and serving as one discrete-event simulation.

    python -m benchmarks.simulation                               # 1, 1,000 and 1,000,000 authors
    python -m benchmarks.simulation --check http://127.0.0.1:8000 --author mira

The first prints the table of docs/scale.md. The second asks a running API, with one reader and with many, and holds the
simulation of those readers against what was measured; what it is fed with is not what it is compared with.

Hosts, trainers and replicas are resources with a queue (Simpy). Authors publish at random and are visited on their
schedule; a visit asks the host for each page, as a second reading does (docs/results.md), one request at a time and a
pause apart. Beyond a thousand authors a thousand of them are simulated with their share of every resource: only hosts
are shared by all, so a shared host gives each thousand its share of the host's requests.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import httpx
import numpy as np
import simpy

DAY = 86_400.0
WEEK = 7 * DAY
CELL = 1_000
"""Authors that are simulated one by one; more are so many cells alike."""
WEEKS = 8.0
"""That collection and training are simulated for."""
_QUESTIONS = ("how do you test it", "what went wrong", "why does it matter", "how long does it take", "what is it for")


@dataclass(frozen=True)
class Author:
    """What an author publishes and what readers ask of them; an author with much to say."""

    pages: int = 60
    articles_a_week: float = 0.5
    posts_a_week: float = 3.0
    passages_a_document: float = 3.4
    questions_a_day: float = 20.0
    visits_a_week: float = 1.0
    on_shared_host: float = 0.5
    """Share of the authors whose pages are on one host, as on medium.com; the others have hosts of their own."""


@dataclass(frozen=True)
class Machines:
    """What there is, and the seconds that one of it takes, as in docs/results.md."""

    pause: float = 1.0
    """Between two requests to one host."""
    addresses: int = 1
    """Places that collect, each with requests of its own to a shared host."""
    trainers: int = 1
    training: float = 260.0
    """One adapter with its reports: the sample author's on two cores."""
    changes: int = 5
    """Documents that make a new dataset version."""
    replicas: int = 1
    alone: float = 0.081
    """From question to answer where nobody else asks."""
    busy: float = 0.075
    """Of that, what no other answer of the replica can use: its inverse is the most that a replica answers."""
    embedding: float = 0.022
    """A passage."""


@dataclass
class Seen:
    """What a simulation saw."""

    documents: int = 0
    requests: int = 0
    ages: list[float] = field(default_factory=list)
    """Seconds from publication until a document was read."""
    waits: list[float] = field(default_factory=list)
    """Seconds that trainings waited for a trainer."""
    trained: int = 0


def collect_and_train(authors: int, each: Author, machines: Machines, *, weeks: float = WEEKS, seed: int = 1) -> Seen:
    """Simulate collection and training of ``authors`` for some weeks."""
    world, dice, seen = simpy.Environment(), random.Random(seed), Seen()
    shared = simpy.Resource(world, machines.addresses)
    trainers = simpy.Resource(world, machines.trainers)

    def life(host: simpy.Resource) -> Generator[simpy.Event, object, None]:
        rate = (each.articles_a_week + each.posts_a_week) / WEEK
        published: list[float] = []
        next_one, waiting, training = dice.expovariate(rate), 0, False
        yield world.timeout(dice.uniform(0, WEEK / each.visits_a_week))
        while True:
            began = world.now
            with host.request() as turn:
                yield turn
                yield world.timeout((1 + each.pages) * machines.pause)
            seen.requests += 1 + each.pages
            while next_one < world.now:
                published.append(next_one)
                next_one += dice.expovariate(rate)
            seen.documents += len(published)
            seen.ages += [world.now - moment for moment in published]
            waiting += len(published)
            published.clear()
            if waiting >= machines.changes and not training:
                waiting = 0
                world.process(train())
            yield world.timeout(max(0.0, began + WEEK / each.visits_a_week - world.now))

    def train() -> Generator[simpy.Event, object, None]:
        asked = world.now
        with trainers.request() as turn:
            yield turn
            seen.waits.append(world.now - asked)
            yield world.timeout(machines.training)
        seen.trained += 1

    for number in range(authors):
        own = number >= authors * each.on_shared_host
        world.process(life(simpy.Resource(world) if own else shared))
    world.run(until=weeks * WEEK)
    return seen


def serve(
    machines: Machines, *, rate: float = 0.0, readers: int = 0, seconds: float = 120.0, seed: int = 1
) -> list[float]:
    """Seconds that answers took.

    Args:
        rate: questions a second that come at random, each to the replica with the fewest.
        readers: instead of them, so many who ask again as soon as they are answered.
    """
    world, dice = simpy.Environment(), random.Random(seed)
    replicas = [simpy.Resource(world) for _ in range(machines.replicas)]
    took: list[float] = []

    def answer() -> Generator[simpy.Event, object, None]:
        began = world.now
        replica = min(replicas, key=lambda each: each.count + len(each.queue))
        with replica.request() as turn:
            yield turn
            yield world.timeout(machines.busy * dice.lognormvariate(-0.06, 0.35))
        yield world.timeout(max(0.0, machines.alone - machines.busy))
        took.append(world.now - began)

    def arrivals() -> Generator[simpy.Event, object, None]:
        while True:
            yield world.timeout(dice.expovariate(rate))
            world.process(answer())

    def reader() -> Generator[simpy.Event, object, None]:
        while True:
            yield world.process(answer())

    for _ in range(readers):
        world.process(reader())
    if rate:
        world.process(arrivals())
    world.run(until=seconds)
    return took


def enough(fits: Callable[[int], bool], most: int = 1 << 24) -> int:
    """The fewest machines with which it ``fits``, by doubling and halving.

    Raises:
        ValueError: not even ``most`` do.
    """
    high = 1
    while not fits(high):
        high *= 2
        if high > most:
            raise ValueError(f"{most} are not enough")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


@dataclass(frozen=True)
class Needed:
    """What a number of authors needs, and what it needs ``most`` of."""

    authors: int
    documents_a_day: float
    addresses: int
    age: float
    trainers: int
    wait: float
    replicas: int
    p95: float
    peak: float
    embeddings: float
    most: str


def needed(authors: int, each: Author, machines: Machines) -> Needed:
    """Simulate ``authors`` with as few machines as keep a document younger than a visit and a half, a training waiting
    less than a day, and 95% of the answers within 400 ms in the busiest hour."""
    simulated = min(authors, CELL)
    cells = authors / simulated
    visit = WEEK / each.visits_a_week

    def seen(addresses: int = simulated, trainers: int = simulated) -> Seen:
        """Of one cell: its share of the places that collect is a shorter pause of one of them."""
        share = addresses / cells
        pause = machines.pause / min(1.0, share)
        chosen = replace(machines, addresses=max(1, round(share)), pause=pause, trainers=trainers)
        return collect_and_train(simulated, each, chosen)

    def young(addresses: int) -> bool:
        return _high(seen(addresses).ages) < 1.5 * visit

    addresses = enough(young)
    trainers_of_a_cell = enough(lambda trainers: _high(seen(addresses, trainers).waits) < DAY)
    chosen = seen(addresses, trainers_of_a_cell)
    busy = chosen.trained * machines.training / (WEEKS * WEEK) / trainers_of_a_cell
    trainers = trainers_of_a_cell if cells == 1 else int(np.ceil(cells * trainers_of_a_cell * max(busy / 0.8, 1e-9)))
    peak = 3 * authors * each.questions_a_day / DAY
    groups = max(1.0, peak * machines.busy / 4)  # of replicas that are alike; one of them is simulated

    def answered(replicas: int) -> float:
        rate = peak / groups
        return _high(serve(replace(machines, replicas=replicas), rate=rate, seconds=max(120.0, 500 / rate)))

    group = enough(lambda replicas: answered(replicas) < 0.4)
    embeddings = authors * _documents_a_day(each) * each.passages_a_document / DAY
    limits = {
        "a shared host's requests": addresses,
        "training": trainers,
        "serving": int(np.ceil(group * groups)),
        "embedding": max(1, int(np.ceil(embeddings * machines.embedding))),
    }
    first = max(limits, key=lambda name: limits[name])
    return Needed(
        authors=authors,
        documents_a_day=cells * chosen.documents / (WEEKS * 7),
        addresses=addresses,
        age=_high(chosen.ages),
        trainers=trainers,
        wait=_high(chosen.waits),
        replicas=limits["serving"],
        p95=answered(group),
        peak=peak,
        embeddings=embeddings,
        most=first if limits[first] > 1 else "nothing",
    )


def _documents_a_day(each: Author) -> float:
    return (each.articles_a_week + each.posts_a_week) / 7


def _high(values: Sequence[float]) -> float:
    return float(np.percentile(values, 95)) if values else 0.0


def measured(url: str, author: str, readers: int, seconds: float) -> list[float]:
    """Seconds that answers of a running API take ``readers`` who ask again at once."""
    end = time.monotonic() + seconds

    def read(number: int) -> list[float]:
        took = []
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            for turn in itertools.count(number):
                if time.monotonic() > end:
                    return took
                question = f"{_QUESTIONS[turn % len(_QUESTIONS)]}, in case {turn}?"
                began = time.perf_counter()
                client.post("/ask", json={"query": question, "author": author, "mode": "quote"}).raise_for_status()
                took.append(time.perf_counter() - began)
        return took

    with ThreadPoolExecutor(readers) as pool:
        return [each for found in pool.map(read, range(0, readers * 100_000, 100_000)) for each in found]


def check(url: str, author: str, seconds: float) -> None:
    """Feed the simulation with one reader and sixteen, and print it beside what four, eight and 32 see."""
    measured(url, author, 1, 5)
    alone = statistics.median(measured(url, author, 1, seconds))
    busy = seconds / len(measured(url, author, 16, seconds))
    fed = Machines(alone=alone, busy=min(busy, alone))
    print(f"alone {alone * 1000:.0f} ms, at most {1 / busy:.1f} answers a second\n")
    print("| readers | answers a second: measured | simulated | p50: measured | simulated |\n|---|---|---|---|---|")
    for readers in (4, 8, 32):
        real = measured(url, author, readers, seconds)
        made = serve(fed, readers=readers, seconds=300)
        print(
            f"| {readers} | {len(real) / seconds:.1f} | {len(made) / 300:.1f} "
            f"| {statistics.median(real) * 1000:.0f} ms | {statistics.median(made) * 1000:.0f} ms |"
        )


def main() -> None:
    """Print the table of docs/scale.md, or hold the simulation against a running API."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", metavar="URL", help="a running API to compare with")
    parser.add_argument("--author", default="mira")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each measurement")
    parser.add_argument("--training", type=float, default=Machines.training, help="seconds of one training")
    chosen = parser.parse_args()
    if chosen.check:
        check(chosen.check, chosen.author, chosen.seconds)
        return
    machines = replace(Machines(), training=chosen.training)
    print(
        "| authors | documents a day | addresses that collect | age of a document read, p95 | trainers | wait, p95 "
        "| questions a second at the peak | replicas | p95 | passages embedded a second | most needed of |"
    )
    print("|---" * 11 + "|")
    for authors in (1, CELL, 1_000_000):
        row = needed(authors, Author(), machines)
        print(
            f"| {row.authors:,} | {row.documents_a_day:,.1f} | {row.addresses:,} | {row.age / DAY:.1f} days "
            f"| {row.trainers:,} | {row.wait / 60:.0f} min | {row.peak:,.3g} | {row.replicas:,} "
            f"| {row.p95 * 1000:.0f} ms | {row.embeddings:,.3g} | {row.most} |"
        )


if __name__ == "__main__":
    main()
