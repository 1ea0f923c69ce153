"""Whether the graph gets done whatever is killed: ``python -m benchmarks.kills --kills 20 --seed 1``.

Under a real ``twin up`` with a fresh home, the daemon builds the sample author's twin on a model of some thousand
parameters. At seeded moments one process is killed with ``kill -9``: a run's worker or the job below it, the daemon's
code server, the daemon, the API, or Postgres. Then the graph has to get done by itself, with the content that an
undisturbed ``twin run`` makes, and no run may be left as if it still ran. Nothing is compared with earlier figures, so
``make bench`` leaves it out; it prints Markdown for docs/results.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.home import Home
from twin_assets_tests.support.tiny_models import TinyModels
from twin_resources.database import postgres
from twin_resources.retrieval.vectors import VectorIndex
from twin_resources.sources.base import CATEGORIES
from twin_resources.storage.datasets import Datasets
from twin_resources.storage.releases import Releases
from twin_resources.storage.reports import Reports
from twin_resources.storage.warehouse import Warehouse

VICTIMS = ("worker", "code server", "daemon", "API", "Postgres")
_PAUSE = (20.0, 70.0)
"""Seconds between a kill and the next one of the same graph; drawn."""
_LIMIT = 1500.0
"""A graph that takes longer does not get done."""


@dataclass
class Kill:
    """One kill, and what came of it."""

    graph: int
    victim: str
    after: float
    done: float | None = None
    equal: bool = False
    left: int = -1


class World(Home):
    """A home whose processes are killed, and whose content is compared."""

    def content(self) -> dict[str, str]:
        """Hashes of everything that the graph makes, as far as it is there."""
        engine = postgres.engine(postgres.databases(self.settings.postgres))
        warehouse, index = Warehouse(engine), VectorIndex(engine, self.settings.models.embedding)
        found: dict[str, str | None] = {}
        for origin in sorted(warehouse.documents.origins(self.author)):
            found[f"raw/{origin}"] = warehouse.raw_hash(self.author, origin)
        for category in CATEGORIES:
            found[f"clean/{category}"] = warehouse.clean.hash(self.author, category)
            found[f"chunks/{category}"] = warehouse.chunks.hash(self.author, category)
            found[f"embeddings/{category}"] = index.snapshot_hash(self.author, category)
        for kind in ("instruct", "retrieval"):
            dataset = Datasets(engine).newest(self.author, kind)
            found[f"datasets/{kind}"] = dataset.id if dataset else None
        for kind in ("reranker", "retrieval", "generation"):
            report = Reports(engine).newest(self.author, kind)
            found[f"report {kind}"] = report.id if report else None
        champion = Releases(engine).alias(self.author, "champion")
        found["champion"] = champion.version if champion else None
        return {name: value for name, value in found.items() if value}

    def processes(self) -> Iterator[psutil.Process]:
        """Every process of this home that is no guard."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                line = " ".join(process.cmdline())
                if (
                    process.environ().get("TWIN_HOME") == self.environment["TWIN_HOME"]
                    and "processes.guard" not in line
                ):
                    yield process

    def find(self, victim: str) -> list[int]:
        """Processes that are such a victim now."""
        if victim == "Postgres":
            pid = postgres.pid(self.settings.postgres)
            return [pid] if pid else []
        return [process.pid for process in self.processes() if _is(victim, process)]


def _is(victim: str, process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        line = " ".join(process.cmdline())
        if victim == "API":
            return "serve-api" in line
        if victim == "daemon":
            return "dagster-daemon run" in line
        parent = process.parent()
        above = " ".join(parent.cmdline()) if parent else ""
        if victim == "code server":
            return "dagster api grpc" in line and "dagster-daemon" in above
        job = "-m twin_assets." in line and "job" in line
        return job or "runtime.job_host" in line or ("spawn_main" in line and "dagster api grpc" in above)
    return False


def until(condition: Callable[[], Any], seconds: float) -> bool:
    """Whether the condition comes true in time; a database that is away is no answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(Exception):
            if condition():
                return True
        time.sleep(1)
    return False


def graph(
    number: int, world: World, wanted: Mapping[str, str], dice: random.Random, kills: int, say: Any
) -> list[Kill]:
    """Build one graph under ``twin up`` and kill on the way; kills that found the graph done are left out."""
    done: list[Kill] = []
    up = world.start("up")
    began = time.monotonic()
    try:
        until(lambda: httpx.get(f"{world.api}/healthz", trust_env=False).status_code == 200, 180)
        said = 0.0
        order = [victim for _ in range(kills // len(VICTIMS) + 1) for victim in dice.sample(VICTIMS, len(VICTIMS))]
        for victim in order[:kills]:
            time.sleep(dice.uniform(*_PAUSE))
            found: list[int] = []
            until(lambda victim=victim, found=found: found.extend(world.find(victim)) or found, 150)
            with contextlib.suppress(Exception):
                if dict(wanted) == world.content() and not world.unfinished():
                    break
            if not found:
                continue
            if victim == "worker":
                time.sleep(dice.uniform(0, 3))
                found = world.find(victim) or found
            with contextlib.suppress(ProcessLookupError):
                os.kill(dice.choice(found), signal.SIGKILL)
                said = time.monotonic() - began
                done.append(Kill(number, victim, said))
                say(f"graph {number}: killed the {victim} after {said:.0f} s")
        finished = until(
            lambda: dict(wanted) == world.content() and not world.unfinished(), _LIMIT - (time.monotonic() - began)
        )
        took = time.monotonic() - began
        answers = until(lambda: httpx.get(f"{world.api}/healthz", trust_env=False).status_code == 200, 60)
        found_content = world.content()
        for kill in done:
            kill.done = took - kill.after if finished and answers else None
            kill.equal = found_content == dict(wanted)
            kill.left = world.unfinished()
        if not finished:
            differing = {name for name in wanted if found_content.get(name) != wanted[name]}
            say(f"graph {number}: not done after {took:.0f} s; other or missing: {', '.join(sorted(differing))}")
        else:
            say(f"graph {number}: done after {took:.0f} s")
    finally:
        up.terminate()
        up.wait(60)
    return done


def undisturbed(folder: Path, base: Path) -> tuple[dict[str, str], float]:
    """The content of a graph that nobody disturbs, and its seconds."""
    world = World(folder, base)
    began = time.monotonic()
    code = world.start("run").wait()
    if code:
        sys.exit(f"the undisturbed run failed:\n{(folder / 'typed.log').read_text()[-4000:]}")
    took = time.monotonic() - began
    content = world.content()
    postgres.stop(world.settings.postgres)
    return content, took


def main() -> None:
    """Run graphs until there were as many kills as were asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--per-graph", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=600, help="start no further graph after this long")
    parser.add_argument("--keep", action="store_true", help="leave the homes for a look at their logs")
    chosen = parser.parse_args()
    dice, began, done = random.Random(chosen.seed), time.monotonic(), []

    def say(message: str) -> None:
        print(message, file=sys.stderr, flush=True)

    with contextlib.ExitStack() as stack:
        made = tempfile.mkdtemp(prefix="twin-kills-")
        if not chosen.keep:
            stack.callback(shutil.rmtree, made, ignore_errors=True)
        base = TinyModels.build("llama", Path(made) / "model").base
        wanted, seconds = undisturbed(Path(made) / "quiet", base)
        say(f"an undisturbed `twin run` takes {seconds:.0f} s and makes {len(wanted)} things")
        number = 0
        while len(done) < chosen.kills and time.monotonic() - began < chosen.minutes * 60:
            number += 1
            world = World(Path(made) / f"g{number}", base)
            done += graph(number, world, wanted, dice, min(chosen.per_graph, chosen.kills - len(done)), say)
    print(f"`python -m benchmarks.kills --kills {chosen.kills} --seed {chosen.seed}`, {len(done)} kills\n")
    print("| graph | killed | after, s | done then, s | content equal | runs left |\n|---|---|---|---|---|---|")
    for kill in done:
        took = f"{kill.done:.0f}" if kill.done is not None else "never"
        print(f"| {kill.graph} | {kill.victim} | {kill.after:.0f} | {took} | {kill.equal} | {kill.left} |")
    if not done or any(kill.done is None or not kill.equal or kill.left for kill in done):
        sys.exit(1)


if __name__ == "__main__":
    main()
