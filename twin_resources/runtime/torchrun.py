"""``python -m twin_resources.runtime.torchrun PROCESSES MODULE``: a job as several processes of this machine.

They find one another at a port of the loopback interface, and end with the process that started them.
"""

from __future__ import annotations

import os
import sys

from twin_resources.runtime.processes import end_with_parent


def command(python: str, module: str, processes: int) -> list[str]:
    """What runs a module as a job of so many processes."""
    if processes == 1:
        return [python, "-m", module]
    return [python, "-m", "twin_resources.runtime.torchrun", str(processes), module]


def main(processes: str, module: str) -> None:
    """Run it; exits with 1 where one of the processes failed, and the others are ended."""
    from torch.distributed.run import main as run

    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    run(["--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={processes}", "-m", module])


if __name__ == "__main__":
    end_with_parent()
    main(*sys.argv[1:])
