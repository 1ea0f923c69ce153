"""Vectors for an asset that has no torch, from a process beside it: forked from the one that jobs are forked from, it
need not import what they share, and the model goes with it."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from twin_resources.retrieval.embedder import Embedder, Encode
from twin_resources.runtime.jobs import HOST, can_fork, python_path
from twin_resources.runtime.processes import end_with_parent

_MODULE = "twin_assets.embed.beside"
_END_SECONDS = 20.0


@contextlib.contextmanager
def encoding(name: str, folder: Path) -> Iterator[Encode]:
    """How to embed passages meanwhile; the model is loaded for the first of them, in this process where jobs are not
    forked or the libraries are loaded anyway.

    Args:
        name: of the embedding model in ``folder``.

    Raises:
        ChildProcessError: from the function, where the process beside this one ended.
    """
    if "sentence_transformers" in sys.modules or not can_fork():
        model = cache(lambda: Embedder(name, folder))
        yield lambda texts: model().encode(texts)
        return
    with contextlib.ExitStack() as end:
        beside = cache(lambda: end.enter_context(_started(name, folder)))

        def encode(texts: Sequence[str]) -> np.ndarray:
            try:
                beside().send(list(texts))
                return beside().recv()
            except (EOFError, ConnectionError) as error:
                raise ChildProcessError(f"what embeds by {name} ended; its output is above") from error

        yield encode


@contextlib.contextmanager
def _started(name: str, folder: Path) -> Iterator[Connection]:
    ours, theirs = socket.socketpair()
    environment = {**os.environ, "PYTHONPATH": python_path(), "TOKENIZERS_PARALLELISM": "false"}
    with ours, theirs:
        job = HOST.start(_MODULE, environment, theirs.fileno())
        theirs.close()
        try:
            with Connection(ours.detach()) as talk:
                with contextlib.suppress(ConnectionError):
                    talk.send((name, folder))
                yield talk
        finally:
            job.wait(_END_SECONDS)


def _answer(talk: Connection) -> None:
    """Embed what is asked for until nobody asks."""
    embedder = Embedder(*talk.recv())
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            talk.send(embedder.encode(talk.recv()))


if __name__ == "__main__":
    end_with_parent()
    _answer(Connection(os.dup(0)))
    sys.exit(0)
