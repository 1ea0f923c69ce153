"""A Ray cluster of nodes on this machine: addresses on loopback, free ports, nothing sent to anybody, a token to enter.

Some of Ray's servers listen on every interface whatever they are given; 127.0.0.1 itself would be replaced by the
address of the machine.

Each node is ``ray start --block`` with what it started below it, so that ending it ends all of it, and nothing of
another Ray on this machine is touched.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from twin_assets_tests.support.processes import free_ports, within
from twin_resources.network.authorities import authorities

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "of-these-tests-0123456789abcdef0123456789abcdef"
ENTRY = {"Authorization": f"Bearer {TOKEN}"}
"""What whoever asks the cluster has to send."""
_NODES = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": TOKEN,
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_worker_prestart": "0",  # each would import Ray to wait for work that never comes
    "RAY_prestart_worker_first_driver": "0",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "4",
    "RAY_worker_niceness": "0",  # of 15 beside that of their node: beside other work they would not get their turn
}
_STORE = 80 * 2**20


@dataclass
class Node:
    """One node, and everything that it started."""

    process: subprocess.Popen[bytes]
    log: Path

    def below(self) -> list[psutil.Process]:
        """Everything that runs on it."""
        with contextlib.suppress(psutil.NoSuchProcess):
            mother = psutil.Process(self.process.pid)
            return [mother, *mother.children(recursive=True)]
        return []

    def kill(self) -> None:
        """End it at once, as when a machine loses its power."""
        for each in self.below():
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGKILL)
        self.process.wait(30)


@dataclass
class RayCluster:
    """Its head, and the nodes that were added."""

    folder: Path
    environment: Mapping[str, str]
    gcs: str = ""
    address: str = ""
    nodes: list[Node] = field(default_factory=list)

    def add(self, cpus: int, label: str = "") -> Node:
        """Start another node; it has ``label`` as its ``twin/node``."""
        number = len(self.nodes) + 2
        ports = iter(free_ports(9))
        given = {
            "node-ip-address": f"127.0.0.{number}",
            "num-cpus": str(cpus),
            "num-gpus": "0",
            "memory": str(2**30),
            "object-store-memory": str(_STORE),
            "object-manager-port": str(next(ports)),
            "node-manager-port": str(next(ports)),
            "min-worker-port": "0",
            "max-worker-port": "0",
            "dashboard-agent-listen-port": str(next(ports)),
            "dashboard-agent-grpc-port": str(next(ports)),
            "runtime-env-agent-port": str(next(ports)),
            "metrics-export-port": str(next(ports)),
        }
        if self.nodes:
            given["address"] = self.gcs
        else:
            port, dashboard = next(ports), next(ports)
            self.gcs, self.address = f"127.0.0.{number}:{port}", f"http://127.0.0.1:{dashboard}"
            given |= {
                "port": str(port),
                "dashboard-host": "127.0.0.1",
                "dashboard-port": str(dashboard),
                "ray-client-server-port": str(next(ports)),
                "temp-dir": str(self.folder),
            }
        if label:
            given["labels"] = f"twin/node={label}"
        head = [] if self.nodes else ["--head", "--include-dashboard=true"]
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats", *head]
        log = self.folder / f"node-{number}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, *(f"--{name}={value}" for name, value in given.items())],
                env={**self.environment, **_NODES},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        node = Node(process, log)
        self.nodes.append(node)
        assert within(180, lambda: self._is_up(node)), log.read_text()
        return node

    def _is_up(self, node: Node) -> bool:
        assert node.process.poll() is None, node.log.read_text()
        with contextlib.suppress(httpx.HTTPError, KeyError, TypeError):
            asked = f"{self.address}/nodes?view=summary"
            found = httpx.get(asked, headers=ENTRY, trust_env=False, verify=authorities(), timeout=5).json()
            known = found["data"]["summary"]
            return sum(each["raylet"].get("state") == "ALIVE" for each in known) >= self.alive()
        return False

    def alive(self) -> int:
        """How many of its nodes run."""
        return sum(each.process.poll() is None for each in self.nodes)


@contextlib.contextmanager
def ray_cluster(cpus: int = 2, label: str = "", **variables: str) -> Iterator[RayCluster]:
    """A cluster of one node, on which more can be started, until the end of the block.

    Args:
        label: of the node, as its ``twin/node``.
        variables: more environment of what runs on it.
    """
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("TWIN_", "RAY_"))}
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**outside, "PATH": path, "PYTHONPATH": str(ROOT), "TOKENIZERS_PARALLELISM": "false", **variables}
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        cluster = RayCluster(Path(folder), environment)
        try:
            cluster.add(cpus, label)
            yield cluster
        finally:
            for node in reversed(cluster.nodes):
                node.kill()
