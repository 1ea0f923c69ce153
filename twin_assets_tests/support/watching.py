"""Every name and address that Python code of a process, and of those it starts, asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_HERE = ("('127.0.0.1'", "('::1'", "('localhost'", "(b'localhost'", "(b'127.0.0.1'", "'/")
"""Loopback, and sockets that are files."""
_HOOK = """
import os, sys

def hook(event, arguments):
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
    elif event == "socket.getaddrinfo":
        address = arguments[:2]
    else:
        return
    write(event, repr(address))

def write(event, about):
    with open(os.environ["TEST_ASKED"], "a") as file:
        command = open("/proc/self/cmdline").read().replace("\\0", " ")
        file.write(f"{event} {about} {command}\\n")

if "TEST_ASKED" in os.environ:
    sys.addaudithook(hook)
    write("watched", "")
"""


@dataclass(frozen=True)
class Watch:
    """A hook in the processes that are started with :attr:`variables`, and the file it writes to."""

    folder: Path

    @classmethod
    def kept_in(cls, folder: Path) -> Watch:
        """One whose files lie in a folder, which is made."""
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(_HOOK)
        return cls(folder)

    @property
    def asked(self) -> Path:
        """The file, a line for each process and each address."""
        return self.folder / "asked.txt"

    @property
    def variables(self) -> dict[str, str]:
        """What to put into the environment."""
        return {"PYTHONPATH": f"{self.folder}:{ROOT}", "TEST_ASKED": str(self.asked)}

    def saw(self, command: str) -> bool:
        """Whether a process was watched whose command holds this."""
        return any(line.startswith("watched") and command in line for line in self.asked.read_text().splitlines())

    def elsewhere(self) -> list[str]:
        """What was asked for beyond this machine."""
        lines = (line for line in self.asked.read_text().splitlines() if not line.startswith("watched"))
        return [line for line in lines if not line.partition(" ")[2].startswith(_HERE)]
