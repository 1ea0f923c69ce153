"""``python -m twin_resources.runtime.torchrun PROCESSES MODULE``: a job as several processes of this machine.

They find one another at a port of the loopback interface, and end with the process that started them. With
``NODES RANK ADDRESS PORT`` behind it they are those of one machine of several, which meet at that of rank 0.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from dataclasses import dataclass, replace

from twin_resources.runtime.processes import end_with_parent

_MODULE = "twin_resources.runtime.torchrun"


@dataclass(frozen=True)
class Meeting:
    """Several machines whose processes train together: how many, which of them this is, and where they meet."""

    nodes: int
    address: str
    port: int
    rank: int = 0

    def of(self, rank: int) -> Meeting:
        """As another of the machines sees it."""
        return replace(self, rank=rank)


def arguments(module: str, processes: int, meeting: Meeting | None = None) -> list[str]:
    """What an interpreter is given to run a module as so many processes, those of one of several machines or all."""
    told = [meeting.nodes, meeting.rank, meeting.address, meeting.port] if meeting else []
    return ["-m", _MODULE, str(processes), module, *map(str, told)]


def command(python: str, module: str, processes: int) -> list[str]:
    """What runs a module as a job of so many processes."""
    if processes == 1:
        return [python, "-m", module]
    return [python, *arguments(module, processes)]


def main(processes: int, module: str, meeting: Meeting | None = None) -> None:
    """Run it; exits with 1 where one of the processes failed, and the others are ended."""
    from torch.distributed.run import main as run

    network = _network_of(meeting.address) if meeting else "lo"
    if network and sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", network)
    there = ["--standalone", "--local-addr=127.0.0.1"]
    if meeting:
        there = [
            f"--nnodes={meeting.nodes}",
            f"--node-rank={meeting.rank}",
            f"--master-addr={meeting.address}",
            f"--master-port={meeting.port}",
        ]
    run([*there, f"--nproc-per-node={processes}", "-m", module])


def _network_of(address: str) -> str | None:
    """The interface by which this machine reaches an address; None where that cannot be told."""
    import psutil

    if ipaddress.ip_address(address).is_loopback:
        return "lo"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))  # sends nothing
        own = probe.getsockname()[0]
    addresses = {each.address: name for name, every in psutil.net_if_addrs().items() for each in every}
    return addresses.get(own)


if __name__ == "__main__":
    end_with_parent()
    count, what, *told = sys.argv[1:]
    main(int(count), what, Meeting(int(told[0]), told[2], int(told[3]), int(told[1])) if told else None)
