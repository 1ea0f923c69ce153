"""``sglang.launch_server`` as far as we rely on it, over the engine of the benchmarks.

Options are read as SGLang 0.5 reads them, and unknown ones refused; the key is wanted by all but its health. It starts
a process of its own, as SGLang does, and writes down in a journal what it is asked to load and who is to answer, each
line with the number of its process. The journal is in the command line of both processes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import uvloop
import yaml

from benchmarks import token_engine

_FLAGS = ("--enable-lora", "--enable-metrics")
_VALUES = (
    *("--model-path", "--host", "--port", "--api-key", "--max-lora-rank", "--lora-target-modules", "--tp-size"),
    "--journal",
)


def interpreter(folder: Path) -> Path:
    """A program that takes the place of the interpreter of SGLang's environment; its journal is in the same folder."""
    program = folder / "python-of-sglang"
    root = Path(__file__).resolve().parents[2]
    ours = f"PYTHONPATH={root} exec {sys.executable} -m {__name__} --journal {folder / 'journal'}"
    program.write_text(f'#!/bin/sh\n[ "$1 $2" = "-m sglang.launch_server" ] || exit 9\nshift 2\n{ours} "$@"\n')
    program.chmod(0o755)
    return program


def journal(folder: Path) -> dict[int, list[tuple[str, str]]]:
    """Of each process what it was asked, in order: ``load``, ``unload`` or ``answer``, and the adapter's name."""
    found: dict[int, list[tuple[str, str]]] = {}
    path = folder / "journal"
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        number, what, adapter = line.split(" ")
        found.setdefault(int(number), []).append((what, adapter))
    return found


def _arguments(given: list[str]) -> argparse.Namespace:
    if "--config" in given:
        at = given.index("--config")
        told = yaml.safe_load(Path(given[at + 1]).read_text(encoding="utf-8"))
        given = [*_flat(told), *given[:at], *given[at + 2 :]]
    parser = argparse.ArgumentParser()
    for name in _VALUES:
        parser.add_argument(name)
    for name in _FLAGS:
        parser.add_argument(name, action="store_true")
    return parser.parse_args(given)


def _flat(told: dict[str, object]) -> Iterator[str]:
    for name, value in told.items():
        yield from (f"--{name}", str(value))


class _Connection(token_engine.Connection):
    key = b""
    journal = Path()

    def answer(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1].partition(b"?")[0]
        if path == b"/health_generate":
            self.transport.write(token_engine.HEALTHY)
        elif (b"authorization: bearer " + self.key).lower() not in head.lower():
            self.transport.write(token_engine.reply(b"401 Unauthorized", {"error": "Unauthorized"}))
        elif path == b"/v1/loads":
            loads = [{"dp_rank": 0, "num_running_reqs": token_engine.running(), "num_waiting_reqs": 0}]
            self.transport.write(token_engine.reply(b"200 OK", {"loads": loads}))
        else:
            self._note(path, body)
            super().answer(head, body)

    def _note(self, path: bytes, body: bytes) -> None:
        match path:
            case b"/load_lora_adapter" | b"/unload_lora_adapter":
                what, adapter = path[1:].decode().partition("_")[0], json.loads(body)["lora_name"]
            case b"/v1/chat/completions":
                what, adapter = "answer", json.loads(body)["model"].partition(":")[2]
            case _:
                return
        with self.journal.open("a", encoding="utf-8") as lines:
            lines.write(f"{os.getpid()} {what} {adapter or 'base'}\n")


if __name__ == "__main__":
    found = _arguments(sys.argv[1:])
    leaked = sorted(name for name in os.environ if name.startswith(("TWIN_", "RAY_")))
    if leaked or not found.enable_lora:
        sys.exit(f"started with {leaked}" if leaked else "no adapters can be loaded without --enable-lora")
    _Connection.key = found.api_key.encode()
    _Connection.journal = Path(found.journal)
    subprocess.Popen(["sh", "-c", "sleep 600; exit", "helper", found.journal], start_new_session=True)
    uvloop.run(token_engine.run(_Connection, found.host, int(found.port)))
