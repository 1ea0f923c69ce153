"""Whether it matters where jobs run: ``python -m benchmarks.launchers``.

The whole graph of the sample author is built three times on a model of some thousand parameters: with jobs as processes
(``TWIN_JOBS=local``), as Ray jobs on two nodes of this machine, where two actors embed and both nodes share each
training, and as pods of an API server of our own that runs their commands. What comes of it has to have the same
content hashes up to the datasets. Then a search for hyper-parameters has two trials at a time on Ray. It prints
Markdown for docs/results.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.kills import World
from benchmarks.table import machine
from twin_assets_tests.support import manifests
from twin_assets_tests.support.cluster import Cluster, serving
from twin_assets_tests.support.ray_cluster import ROOT, TOKEN, RayCluster, ray_cluster
from twin_assets_tests.support.tiny_models import TinyModels
from twin_resources.database import postgres

_SMALL = {
    f"TWIN_POOLS__{pool}__{name}": value
    for pool in ("GPU", "EMBED")
    for name, value in {"CPUS": "0.5", "MEMORY_GIB": "0.25", "GPUS": "0"}.items()
}
_COMPARED = ("raw/", "clean/", "chunks/", "embeddings/", "datasets/")
_DATASETS = '+key:"datasets/instruct" or +key:"datasets/retrieval"'
_TRIALS = 3


@dataclass
class Built:
    """What one way of running jobs made."""

    how: str
    seconds: float
    jobs: int
    content: Mapping[str, str]

    def row(self, first: Built) -> str:
        """A row of the table, beside what the first one made."""
        wanted = {name: value for name, value in first.content.items() if name.startswith(_COMPARED)}
        equal = sum(self.content.get(name) == value for name, value in wanted.items())
        champion = "yes" if "champion" in self.content else "no"
        return f"| {self.how} | {self.seconds:.0f} | {self.jobs or ''} | {equal} of {len(wanted)} | {champion} |"

    def is_as(self, first: Built) -> bool:
        """Whether it holds the same up to the datasets, and has a champion where that one has."""
        hashes = [
            {key: each.content[key] for key in each.content if key.startswith(_COMPARED)} for each in (self, first)
        ]
        return hashes[0] == hashes[1] and ("champion" in self.content) == ("champion" in first.content)


def _of(world: World, *arguments: str) -> float:
    """Seconds that a command takes, which has to end well."""
    began = time.monotonic()
    process = world.start(*arguments)
    try:
        if process.wait():
            raise SystemExit(f"`twin {' '.join(arguments)}` failed:\n{world.log.read_text()[-6000:]}")
    finally:
        _end(process)
    return time.monotonic() - began


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        process.wait(60)


def local(world: World) -> Iterator[Callable[[], int]]:
    """Processes of this machine."""
    yield lambda: 0


def ray(world: World) -> Iterator[Callable[[], int]]:
    """Ray jobs on two nodes."""
    world.configure("ray", embedders=2, embedder_cpus=0.5, trials=2)
    world.configure("training", nodes=2)
    given = {name: value for name, value in world.environment.items() if name.startswith(("TWIN_", "HF_"))}
    with ray_cluster(cpus=2, **given, **_SMALL, OMP_NUM_THREADS="1") as cluster:
        cluster.add(2)
        told = {"TWIN_JOBS": "ray", "TWIN_RAY__ADDRESS": cluster.address, "RAY_AUTH_TOKEN": TOKEN}
        world.environment.update({**told, **_SMALL, "TWIN_RAY__POLL_SECONDS": "0.5"})
        yield lambda: _submitted(cluster)


def _submitted(cluster: RayCluster) -> int:
    from ray.job_submission import JobSubmissionClient

    client = JobSubmissionClient(cluster.address, headers={"Authorization": f"Bearer {TOKEN}"})
    return len(client.list_jobs())


def kubernetes(world: World) -> Iterator[Callable[[], int]]:
    """Pods of a server that runs their commands."""
    given = {name: value for name, value in world.environment.items() if name.startswith(("TWIN_", "HF_"))}
    made = Cluster({"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **given}, secrets={"secrets": {}})
    made.add(manifests.worker(Path(given["TWIN_HOME"]), world.folder))
    with serving(made, world.folder / "kubeconfig"):
        world.environment.update(
            TWIN_JOBS="kubernetes",
            TWIN_KUBERNETES__POD="worker-7d4f",
            TWIN_KUBERNETES__POLL_SECONDS="0.5",
            KUBECONFIG=str(world.folder / "kubeconfig"),
        )
        yield lambda: len(made.created)


PLACES: Mapping[str, tuple[str, Any]] = {
    "local": ("processes", local),
    "ray": ("Ray jobs on two nodes", ray),
    "kubernetes": ("pods", kubernetes),
}


def build(name: str, folder: Path, base: Path, *, datasets: bool) -> tuple[Built, list[dict[str, Any]]]:
    """Build the graph at one place; on Ray, search for hyper-parameters then, and give the trials.

    Args:
        datasets: only as far as these.
    """
    how, place = PLACES[name]
    world = World(folder, base)
    mine = folder / "state" / "base"  # a pod sees no files outside of its mounts
    shutil.copytree(base, mine)
    world.configure("models", base=str(mine))
    try:
        with contextlib.contextmanager(place)(world) as jobs:
            seconds = _of(world, "run", *(("--select", _DATASETS) if datasets else ()))
            built = Built(how, seconds, jobs(), world.content())
            trials = []
            if name == "ray" and not datasets:
                _of(world, "tune", "--trials", str(_TRIALS))
                trials = json.loads(world.say("tune", "--show", "--json"))["trials"]
    finally:
        postgres.stop(world.settings.postgres)
    return built, trials


def main() -> None:
    """Build the graph at each place, and compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.launchers", description=__doc__)
    parser.add_argument("--only", choices=PLACES, action="append", help="this place; can be given more than once")
    parser.add_argument("--datasets", action="store_true", help="only as far as the datasets; nothing is trained")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"`{' '.join(['python -m benchmarks.launchers', *sys.argv[1:]])}`, {machine()}\n")
    print("| jobs are | s | jobs | equal up to the datasets | champion |\n|---|---|---|---|---|", flush=True)
    found: list[Built] = []
    trials: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="twin-launchers-", ignore_cleanup_errors=True) as made:
        base = TinyModels.build("llama", Path(made) / "model").base
        for name in chosen.only or PLACES:
            built, of_search = build(name, Path(made) / name, base, datasets=chosen.datasets)
            found.append(built)
            trials += of_search
            print(built.row(found[0]), flush=True)
    if trials:
        states = ", ".join(f"{each['number'] + 1}: {each['state']}" for each in trials)
        print(f"\nTrials of the search on Ray, two at a time: {states}")
    if not all(each.is_as(found[0]) for each in found) or any(each["state"] == "running" for each in trials):
        raise SystemExit("what the launchers made differs")


if __name__ == "__main__":
    main()
