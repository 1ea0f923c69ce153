"""What Ray nodes add, and what is lost with one: ``python -m benchmarks.ray --passages 768``.

A head and three nodes of one CPU each on this machine, every node ``ray start`` on a loopback address of its own.
Passages are embedded by one process, then by an actor on each of one, two and three nodes, and once more while a node
is killed in the middle. Then the API is served from three nodes: replicas from one to three and back under sixteen
readers, a redeployment of changed code and changes of the champion, all under load. It prints Markdown for
docs/results.md, and ends what it started however it ends itself.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import logging
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import sqlalchemy as sa
import yaml

from benchmarks import made
from benchmarks.table import machine, p95
from twin_assets.embed.job import embed, embed_sentences
from twin_assets_tests.support import launching, site
from twin_assets_tests.support.essays import sentence
from twin_assets_tests.support.processes import free_ports
from twin_assets_tests.support.ray_cluster import ROOT, TOKEN, Node, RayCluster, ray_cluster
from twin_assets_tests.support.ray_serving import (
    KEY,
    VERSIONS,
    Readers,
    application,
    deploy,
    engine_of_two,
    is_up,
    replicas,
    until,
)
from twin_resources.config.settings import AuthorSettings, Settings
from twin_resources.database import postgres
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.sentences import SentenceIndex
from twin_resources.retrieval.vectors import VectorIndex
from twin_resources.storage.releases import Releases

NODES = 3
READERS = 16
_SENTENCES = 3
"""Of a passage; some 60 tokens."""
_CHAMPIONS = 6
"""Changes of the champion under load."""
_ANSWERS = 60
"""Answers by a champion before the next one."""
_EVERY_WRITE = """
CREATE TABLE written (text_hash text NOT NULL);
CREATE FUNCTION note_write() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO written VALUES (new.text_hash); RETURN new; END $$;
CREATE TRIGGER note_write BEFORE INSERT ON embedding FOR EACH ROW EXECUTE FUNCTION note_write();
"""
_STORED = "SELECT text_hash, vector::text FROM embedding WHERE text_hash LIKE 's0%'"
_FORGET = """
DO $$ DECLARE each text; BEGIN
  FOR each IN SELECT indexname FROM pg_indexes WHERE indexname LIKE 'hnsw_%' LOOP
    EXECUTE 'DROP INDEX ' || each;
  END LOOP;
END $$;
DELETE FROM embedding WHERE text_hash LIKE 's0%';
TRUNCATE sentence_embedding, written;
"""


def say(message: str) -> None:
    """Tell whoever waits how far it is."""
    print(message, file=sys.stderr, flush=True)


@dataclass
class Embedded:
    """What one way of embedding left in the database."""

    how: str
    seconds: float
    hash: str
    vectors: Mapping[str, np.ndarray]
    sentences: int
    written: int
    """Writes of vectors, those that found one there included."""
    done: int

    def against(self, other: Embedded) -> str:
        """A row of the table, beside what one process left."""
        same = self.hash == other.hash and self.vectors.keys() == other.vectors.keys()
        same = same and self.sentences == other.sentences
        apart = max(float(np.abs(self.vectors[key] - other.vectors[key]).max()) for key in other.vectors) if same else 1
        rate = self.done / self.seconds
        return (
            f"| {self.how} | {self.seconds:.1f} | {rate:.1f} | {rate * other.seconds / other.done:.2f} | "
            f"{'yes' if same else 'NO'} | {apart:.1g} | {len(other.vectors.keys() - self.vectors.keys())} | "
            f"{self.written - len(self.vectors)} |"
        )


@dataclass
class World:
    """One home, one database, and the nodes over it."""

    settings: Settings
    config: Path
    index: VectorIndex
    cluster: RayCluster
    nodes: list[Node] = field(default_factory=list)

    def missing(self) -> int:
        """Passages without a vector."""
        return self.index.missing(made.AUTHOR.id)

    def left(self, how: str, seconds: float, done: int) -> Embedded:
        """What is there now, which is forgotten then."""
        with self.index.engine.begin() as session:
            stored = session.execute(sa.text(_STORED)).all()
            vectors = {key: np.array(vector[1:-1].split(","), dtype=np.float32) for key, vector in stored}
            written = session.scalar(sa.text("SELECT count(*) FROM written"))
            sentences = session.scalar(sa.text("SELECT count(*) FROM sentence_embedding"))
            found = self.index.snapshot_hash(made.AUTHOR.id, "articles")
            session.execute(sa.text(_FORGET))
        return Embedded(how, seconds, found, vectors, int(sentences or 0), int(written or 0), done)

    def by_one_process(self) -> Embedded:
        """Embed here, on one thread, as each actor does."""
        embedder = Embedder.of(self.settings)
        began = time.monotonic()
        done = embed(self.index, embedder, made.AUTHOR.id)
        self.index.ensure_index()
        seconds = time.monotonic() - began
        embed_sentences(SentenceIndex(self.index.engine, self.index.model), embedder, made.AUTHOR.id)
        return self.left("one process", seconds, done)

    def by_nodes(self, how: str) -> Embedded:
        """Embed by a Ray job that has an actor on each node."""
        told = yaml.safe_load(self.config.read_text(encoding="utf-8"))
        told["ray"] = {"embedders": len(self.nodes)}  # a job has its settings from its node, not from here
        self.config.write_text(yaml.safe_dump(told), encoding="utf-8")
        launched = functools.partial(launching.launched, (), self.config, pool="embed")
        done = launched(job="twin_assets.embed.job", author=made.AUTHOR.id)
        return self.left(how, done["seconds"], done["embedded"])

    def while_one_dies(self) -> Embedded:
        """The same; a node is killed once a batch is stored."""
        total, victims = self.missing(), list[Node]()

        def kill() -> None:
            while self.missing() == total:
                time.sleep(0.1)
            at = total - self.missing()
            victims.append(next(each for each in self.nodes if _embeds(each)))
            victims[0].kill()
            say(f"killed a node whose actor embeds when {at} of {total} passages were stored")

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        done = self.by_nodes(f"{len(self.nodes)} nodes, one of them killed")
        killer.join()
        self.nodes.remove(victims[0])
        return done


def _embeds(node: Node) -> bool:
    """Whether an actor of a node is at work."""
    titles: list[str] = []
    for each in node.below():
        with contextlib.suppress(psutil.Error):
            titles.append(" ".join(each.cmdline()))
    return any("ray::Encoder.encode" in title for title in titles)


def _passages(engine: sa.Engine, count: int) -> None:
    dice = random.Random(5)
    texts = (" ".join(sentence(dice) for _ in range(_SENTENCES)) for _ in range(count))
    made.store_document(engine)
    made.store(engine, ((number, text, "web") for number, text in enumerate(texts)))
    with engine.begin() as session:
        session.execute(sa.text(_EVERY_WRITE))


@contextlib.contextmanager
def _world(passages: int) -> Iterator[tuple[World, Releases]]:
    people = [AuthorSettings(id=key, name=name, consent="Measured only. 2026-11-21") for key, name in _PEOPLE.items()]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="twin-ray-", ignore_cleanup_errors=True)))
        config, home = folder / "twin.yaml", folder / "state"
        home.mkdir()
        packed = Settings().home / "models"
        if packed.is_dir():
            (home / "models").symlink_to(packed.resolve())
        written = {"authors": [{"id": each.id, "name": each.name, "consent": each.consent} for each in people]}
        config.write_text(yaml.safe_dump(written), encoding="utf-8")
        settings = Settings(authors=tuple(people), home=home)
        stack.callback(postgres.stop, settings.postgres)
        engine = site.seed(settings, Embedder.of(settings))
        stack.callback(engine.dispose)
        told = {
            **stack.enter_context(engine_of_two(settings, engine, folder / "adapter")),
            "TWIN_CONFIG": str(config),
            "TWIN_HOME": str(home),
            "TWIN_RAY__SERVE__MAX_REPLICAS": str(NODES),
            "TWIN_RAY__SERVE__ONGOING_REQUESTS": "2",
            "TWIN_RAY__SERVE__UPSCALE_SECONDS": "2",
            "TWIN_RAY__SERVE__DOWNSCALE_SECONDS": "30",
            "TWIN_RAY__SERVE__CPUS": "1",
            "TWIN_RAY__SERVE__MEMORY_GIB": "0.1",
        }
        _passages(engine, passages)
        cluster = stack.enter_context(ray_cluster(cpus=1, label="head", **told))
        os.environ.update(
            TWIN_HOME=str(home),
            TWIN_JOBS="ray",
            TWIN_RAY__ADDRESS=cluster.address,
            TWIN_RAY__POLL_SECONDS="0.2",
            TWIN_POOLS__EMBED__CPUS="0.5",
            TWIN_POOLS__EMBED__MEMORY_GIB="0.25",
            TWIN_POOLS__EMBED__NODE_SELECTOR='{"twin/node": "head"}',
            RAY_AUTH_TOKEN=TOKEN,
        )
        yield World(settings, config, VectorIndex(engine, settings.models.embedding), cluster), Releases(engine)


_PEOPLE = {"ada": "Ada Berg", "bo": "Bo Lind", made.AUTHOR.id: made.AUTHOR.name}


def embedding(world: World, *, loss_alone: bool) -> None:
    """By one process and by nodes, and while a node dies; or by one process and while a node dies."""
    found = [world.by_one_process()]
    say(found[0].against(found[0]))
    for count in range(1, NODES + 1):
        world.nodes.append(world.cluster.add(1))
        if loss_alone:
            continue
        found.append(world.by_nodes(f"{count} node{'s' * (count > 1)}"))
        say(found[-1].against(found[0]))
    found.append(world.while_one_dies())
    print(
        "\n| embedding | s | passages a second | times one process | same hashes and sentences "
        "| vectors apart by at most | missing | stored again |\n|---|---|---|---|---|---|---|---|"
    )
    print("\n".join(each.against(found[0]) for each in found))
    if not all("| yes |" in each.against(found[0]) and each.written == len(each.vectors) for each in found):
        raise SystemExit("what was embedded differs")


@dataclass
class Phase:
    """What sixteen readers, or one, got while something happened."""

    what: str
    seconds: float
    readers: Readers
    least: int
    most: int

    def __str__(self) -> str:
        waits, wrong = self.readers.seconds, self.readers.wrong
        mixed = sum(" said " in each for each in wrong)
        return (
            f"| {self.what} | {self.seconds:.0f} | {self.least} to {self.most} | {len(waits)} | {len(wrong) - mixed} | "
            f"{mixed} | {statistics.median(waits):.1f} | {p95(waits):.1f} | {max(waits):.1f} |"
        )


@dataclass
class Served:
    """The API on Serve, under readers."""

    world: World
    releases: Releases
    url: str
    port: int

    async def under(self, what: str, count: int, happens: Any, pause: float = 0.0) -> Phase:
        """Have ``count`` readers read until ``happens(readers)`` is over."""
        readers, began, seen = Readers(self.url), time.monotonic(), [len(replicas(self.world.cluster))]

        async def watch() -> None:
            while not readers.over:
                now = await asyncio.to_thread(application, self.world.cluster)
                if "api" in now.get("deployments", {}):  # Serve tells of none while it builds what it is given
                    seen.append(len(await asyncio.to_thread(replicas, self.world.cluster)))
                await asyncio.sleep(0.3)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(count):
                tasks.create_task(readers.read(pause))
            tasks.create_task(watch())
            try:
                await happens(readers)
            finally:
                readers.over = True
        phase = Phase(what, time.monotonic() - began, readers, min(seen), max(seen))
        say(str(phase))
        for each in readers.wrong[:5]:
            say(f"  wrong: {each}")
        return phase

    async def grow(self, readers: Readers) -> None:
        """Until there are three, each on a node of its own, and all have answered for a while."""
        await until(lambda: len(replicas(self.world.cluster)) == NODES)
        say(f"replicas on {sorted(each['node_ip'] for each in replicas(self.world.cluster).values())}")
        await self._answers(readers)

    async def upgrade(self, readers: Readers) -> None:
        """Deploy changed code until every replica runs it."""
        await self._deploy(readers, _CHANGED, PYTHONPATH=str(_changed(self.world)))

    async def go_back(self, readers: Readers) -> None:
        """Deploy the code from before until it runs."""
        await self._deploy(readers, "1")

    async def _deploy(self, readers: Readers, code: str, **environment: str) -> None:
        before = set(replicas(self.world.cluster))
        await asyncio.to_thread(deploy, self.world.cluster, self.port, **environment)

        def all_new() -> bool:
            now = set(replicas(self.world.cluster))
            status = application(self.world.cluster).get("status")
            return len(now) >= len(before) and not before & now and status == "RUNNING"

        await until(all_new)
        codes = {await asyncio.to_thread(_code, self.url) for _ in range(20)}
        if codes != {code}:
            raise SystemExit(f"after the deployment replicas run the code {codes}")
        await self._answers(readers, 10)

    async def swap(self, readers: Readers) -> None:
        """Change the champion, again and again."""
        for number in range(_CHAMPIONS):
            version = VERSIONS[number % 2]
            await asyncio.to_thread(self.releases.approve, version, by="benchmark")
            since = len(readers.versions)
            await until(lambda since=since: len(readers.versions) > since + _ANSWERS)
            await until(lambda version=version: set(readers.versions[-_ANSWERS:]) == {version})

    async def shrink(self, readers: Readers) -> None:
        """Until one is left."""
        await until(lambda: len(replicas(self.world.cluster)) == 1)
        await self._answers(readers, 10)

    async def _answers(self, readers: Readers, count: int = _ANSWERS) -> None:
        since = len(readers.versions)
        await until(lambda: len(readers.versions) > since + count)


_CHANGED = "of the benchmark"


def _changed(world: World) -> Path:
    """A copy of the code that says another version of itself."""
    folder = world.config.parent / "changed"
    for package in ("twin_assets", "twin_resources", "twin_serving"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "twin_serving" / "api" / "openapi.py"
    told = path.read_text(encoding="utf-8")
    path.write_text(told.replace('"version": "1"', f'"version": "{_CHANGED}"'), encoding="utf-8")
    return folder


def _code(url: str) -> str:
    answer = httpx.get(f"{url}/openapi.json", headers={"Authorization": f"Bearer {KEY}"}, trust_env=False, timeout=60)
    return answer.json()["info"]["version"]


def serving(world: World, releases: Releases) -> None:
    """Replicas, code and champions that change under readers."""
    while len(world.nodes) < NODES - 1:
        world.nodes.append(world.cluster.add(1))
    for _ in range(len(world.nodes) - (NODES - 1)):
        world.nodes.pop().kill()
    (port,) = free_ports(1)
    deploy(world.cluster, port)
    is_up(world.cluster)
    served = Served(world, releases, f"http://127.0.0.1:{port}", port)

    async def all_of_it() -> list[Phase]:
        return [
            await served.under("from one replica to three", READERS, served.grow),
            await served.under("changed code deployed", READERS, served.upgrade),
            await served.under(f"{_CHAMPIONS} changes of the champion", READERS, served.swap),
            await served.under("back to one replica", 1, served.shrink, pause=0.5),
            await served.under("code deployed over one replica", 1, served.go_back, pause=0.5),
        ]

    phases = asyncio.run(all_of_it())
    print(
        "\n| serving | s | replicas | answers | failed | mixed | s to an answer, p50 | p95 | longest |"
        "\n|---|---|---|---|---|---|---|---|---|"
    )
    print("\n".join(map(str, phases)))
    if any(phase.readers.wrong for phase in phases):
        raise SystemExit("an answer failed or was mixed")


def main() -> None:
    """Measure all of it, or a part."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ray", description=__doc__)
    parser.add_argument("--passages", type=int, default=768)
    parser.add_argument("--only", choices=("embedding", "loss", "serving"))
    chosen = parser.parse_args()
    logging.disable(logging.ERROR)
    os.environ.update(TOKENIZERS_PARALLELISM="false", TQDM_DISABLE="1", OMP_NUM_THREADS="1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"`{' '.join(['python -m benchmarks.ray', *sys.argv[1:]])}`, {machine()}, load {os.getloadavg()[0]:.1f}")
    with _world(chosen.passages) as (world, releases):
        if chosen.only != "serving":
            embedding(world, loss_alone=chosen.only == "loss")
        if chosen.only in (None, "serving"):
            serving(world, releases)


if __name__ == "__main__":
    main()
