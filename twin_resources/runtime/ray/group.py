"""``python -m twin_resources.runtime.ray.group``: one training by processes on several Ray nodes.

It is a Ray job, and the first node of the group; the others are actors of the same size, which Ray gives their place
all at once. On each runs torchrun, as it does on one machine (:mod:`twin_resources.runtime.torchrun`), with the job's
address to meet at. One node that ends badly, or is lost, ends all of them; a training goes on from its checkpoint.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from twin_resources.config.pools import PoolResources
from twin_resources.runtime import torchrun
from twin_resources.runtime.processes import end_with_parent
from twin_resources.runtime.ray import room

_LOOK_SECONDS = 0.5
_LAST_SECONDS = 60.0
"""How long other nodes may take to end when the first one has."""


def command(
    python: str, module: str, nodes: int, processes: int, size: PoolResources, start_minutes: float
) -> list[str]:
    """What runs a module as a job of so many processes on each of so many nodes."""
    told = [str(nodes), str(processes), module, size.model_dump_json(), str(start_minutes)]
    return [python, "-m", __name__, *told]


class Member:
    """An actor that is one more node of the group."""

    def address(self) -> str:
        """Where its node is."""
        import ray

        return ray.util.get_node_ip_address()

    def run(self, arguments: Sequence[str]) -> int:
        """Run a command of this interpreter; its exit code."""
        return subprocess.run([sys.executable, *arguments], check=False).returncode


def main(nodes: int, processes: int, module: str, size: PoolResources, start_minutes: float) -> int:
    """Run it; returns the exit code of the first node, or 1 where another one failed, was lost or is not to be had."""
    import ray
    from ray.util.placement_group import placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    ray.init(log_to_driver=False)
    each = room(size)
    labels = each.pop("label_selector")
    bundle = {"CPU": each["num_cpus"], "GPU": each["num_gpus"], "memory": each["memory"]}
    others = nodes - 1
    places = placement_group(
        [{name: value for name, value in bundle.items() if value}] * others,
        strategy="STRICT_SPREAD",
        bundle_label_selector=[labels] * others if labels else None,  # pyright: ignore[reportArgumentType]
    )
    if not places.wait(start_minutes * 60):
        asked = f"{size.cpus:g} CPUs, {size.memory_gib:g} GiB, {size.gpus} GPUs"
        print(
            f"no {others} more nodes for the training in {start_minutes:g} minutes. Each asks for {asked}: add nodes, "
            "or set training.nodes to fewer in twin.yaml",
            flush=True,
        )
        return 1
    strategies = [PlacementGroupSchedulingStrategy(places, index) for index in range(others)]
    members = [ray.remote(**each)(Member).options(scheduling_strategy=strategy).remote() for strategy in strategies]
    ray.get([member.address.remote() for member in members])
    meeting = torchrun.Meeting(nodes, ray.util.get_node_ip_address(), _free_port())
    running = {
        member.run.remote(torchrun.arguments(module, processes, meeting.of(rank))): rank
        for rank, member in enumerate(members, 1)
    }
    first = subprocess.Popen([sys.executable, *torchrun.arguments(module, processes, meeting)])
    signal.signal(signal.SIGTERM, lambda *_: first.terminate())
    try:
        return _wait(first, running)
    finally:
        first.kill()
        first.wait()
        ray.shutdown()


def _wait(first: subprocess.Popen[bytes], running: dict[Any, int]) -> int:
    import ray
    from ray.exceptions import RayActorError

    while (code := first.poll()) is None:
        ended, _ = ray.wait([*running], timeout=_LOOK_SECONDS) if running else ([], [])
        for each in ended:
            rank = running.pop(each)
            try:
                theirs = ray.get(each)
            except RayActorError as error:
                print(f"node {rank + 1} of the training was lost: {error}", flush=True)
                first.terminate()
                first.wait(_LAST_SECONDS)
                return 1
            if theirs:
                print(f"node {rank + 1} of the training ended with code {theirs}", flush=True)
        if not running:
            try:
                code = first.wait(_LAST_SECONDS)
            except subprocess.TimeoutExpired:
                return 1
            break
    if running:
        ray.wait([*running], num_returns=len(running), timeout=_LAST_SECONDS)
    return code


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    end_with_parent()
    many, each_has, what, told, minutes = sys.argv[1:]
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    sys.exit(main(int(many), int(each_has), what, PoolResources.model_validate_json(told), float(minutes)))
