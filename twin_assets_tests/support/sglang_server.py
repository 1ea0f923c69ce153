"""``sglang.launch_server`` as far as we rely on it, over the engine of the benchmarks.

Options are read as SGLang 0.5.23 reads them, and unknown ones refused; the key is wanted by all but its health and
metrics, and written down with all the other options at the start, as SGLang does. It starts a process of its own, as
SGLang does, and notes in a journal what it is asked to load and who is to answer, each line with the number of its
process. The journal is in the command line of both processes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import uvloop
import yaml

from benchmarks import token_engine

VERSION = "0.5.23"
_FLAGS = ("--enable-lora", "--enable-metrics")
_VALUES = (
    *("--model-path", "--host", "--port", "--api-key", "--max-lora-rank", "--lora-target-modules", "--lora-paths"),
    *("--tp-size", "--dp-size", "--device", "--chat-template", "--journal"),
)
_METRICS = b"HTTP/1.1 200 OK\r\ncontent-length: 24\r\n\r\nsglang:num_running_reqs\n"
_WARMING = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
_BROKEN = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 21\r\n\r\nInternal Server Error"
"""What SGLang makes of an assertion; that there are data-parallel replicas stands in its log."""
_WARM_SECONDS = 0.3
"""So long after it listens its first token is not there yet."""


def interpreter(folder: Path) -> Path:
    """A program that takes the place of the interpreter of SGLang's environment; its journal is in the same folder."""
    program = folder / "python-of-sglang"
    root = Path(__file__).resolve().parents[2]
    ours = f"PYTHONPATH={root} exec {sys.executable} -m {__name__} --journal {folder / 'journal'}"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = "-c" ] && exec echo {VERSION}\n'
        f'[ "$1 $2" = "-m sglang.launch_server" ] || exit 9\nshift 2\n{ours} "$@"\n'
    )
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
    told = argparse.Namespace()
    warm_at = 0.0
    paths: ClassVar[dict[str, str]] = {}
    """Of each adapter that was ever loaded, which SGLang loads again by itself when it is asked for."""

    def answer(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1].partition(b"?")[0]
        if path == b"/health_generate":
            self.transport.write(token_engine.HEALTHY if time.monotonic() > self.warm_at else _WARMING)
        elif path == b"/metrics":
            self.transport.write(_METRICS if self.told.enable_metrics else _NOT_FOUND)
        elif f"authorization: bearer {self.told.api_key}".lower() not in head.decode().lower():
            self.transport.write(token_engine.reply(b"401 Unauthorized", {"error": "Unauthorized"}))
        elif path == b"/v1/loads":
            loads = [{"dp_rank": 0, "num_running_reqs": token_engine.running(), "num_waiting_reqs": 0}]
            self.transport.write(token_engine.reply(b"200 OK", {"loads": loads}))
        elif path == b"/v1/models":
            over = [{"id": name, "parent": "served"} for name in token_engine.loaded()]
            self.transport.write(token_engine.reply(b"200 OK", {"data": [{"id": "served"}, *over]}))
        elif path == b"/load_lora_adapter" and int(self.told.dp_size or 1) > 1:
            self.transport.write(_BROKEN)
        else:
            self._note(path, json.loads(body or b"{}"))
            super().answer(head, body)

    def _note(self, path: bytes, asked: dict[str, str]) -> None:
        match path:
            case b"/load_lora_adapter":
                self.paths[asked["lora_name"]] = asked["lora_path"]
                self._write("load", asked["lora_name"])
            case b"/unload_lora_adapter":
                self._write("unload", asked["lora_name"])
            case b"/v1/chat/completions":
                adapter = asked["model"].partition(":")[2]
                if adapter in self.paths and adapter not in token_engine.loaded():
                    token_engine.load(adapter)
                    self._write("reload", adapter)
                self._write("answer", adapter or "base")

    def _write(self, what: str, adapter: str) -> None:
        with open(self.told.journal, "a", encoding="utf-8") as lines:
            lines.write(f"{os.getpid()} {what} {adapter}\n")


def _refusal(told: argparse.Namespace) -> str | None:
    """What SGLang would end with, in its words, and what of ours it must not see."""
    leaked = sorted(name for name in os.environ if name.startswith(("TWIN_", "RAY_")))
    if leaked:
        return f"started with {leaked}"
    if told.enable_lora and not (told.lora_paths or (told.max_lora_rank and told.lora_target_modules)):
        return (
            "AssertionError: When no initial --lora-paths is provided, you need to specify both --max-lora-rank and "
            "--lora-target-modules for LoRA initialization."
        )
    return None


if __name__ == "__main__":
    found = _arguments(sys.argv[1:])
    if why := _refusal(found):
        sys.exit(why)
    print(f"server_args={vars(found)}", file=sys.stderr, flush=True)
    _Connection.told = found
    _Connection.warm_at = time.monotonic() + _WARM_SECONDS
    subprocess.Popen(["sh", "-c", "sleep 600; exit", "helper", found.journal], start_new_session=True)
    uvloop.run(token_engine.run(_Connection, found.host, int(found.port)))
