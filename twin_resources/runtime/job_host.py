"""The process that jobs are forked from: ``python -m twin_resources.runtime.job_host DESCRIPTOR LIBRARY...``.

It imports the libraries, then forks itself for each request of :mod:`.jobs`, which says which module to run in which
environment and is told the number of the process and how it ended.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import runpy
import selectors
import signal
import socket
import sys
from dataclasses import dataclass

from twin_resources.models.loading import sparingly
from twin_resources.runtime.processes import end_with

WIDTH = 12
"""Bytes of a number in an answer: first that of the process, then its exit status."""
_LARGEST = 1 << 20
_STREAMS = ("input", "output", "errors", "reply")
"""Descriptors that come with a request."""


@dataclass(frozen=True)
class Request:
    """A module to run as ``__main__``, where, with which environment, input and output."""

    module: str
    folder: str
    environment: dict[str, str]
    input: int
    output: int
    errors: int
    reply: int

    @property
    def streams(self) -> tuple[int, int, int]:
        """Descriptors of its standard streams, in their order."""
        return self.input, self.output, self.errors

    @classmethod
    def read(cls, control: socket.socket) -> Request | None:
        """The next request; None where the process that asks is gone."""
        data, descriptors, _, _ = socket.recv_fds(control, _LARGEST, len(_STREAMS))
        return cls(**json.loads(data), **dict(zip(_STREAMS, descriptors, strict=True))) if data else None

    def become(self) -> None:
        """Make this process the one that was asked for, and run it to its end."""
        for number, descriptor in enumerate(self.streams):
            os.dup2(descriptor, number)
            os.close(descriptor)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
        os.chdir(self.folder)
        os.environ.clear()
        os.environ.update(self.environment)
        sys.argv[1:] = []
        sys.modules.pop(self.module, None)
        runpy.run_module(self.module, run_name="__main__", alter_sys=True)


def load(module: str) -> None:
    """Import a module, and with it all that it imports; one that cannot be imported is the job's to complain of.

    It stays, and a job that looked through it for garbage would copy it. What libraries warn of meanwhile, such as
    kernels that would be quicker, nobody can act on who waits for a job.
    """
    logging.disable(logging.WARNING)
    with contextlib.suppress(Exception), sparingly():
        importlib.import_module(module)
    logging.disable(logging.NOTSET)


def serve(control: socket.socket) -> Request | None:
    """Fork a process for every request and say how each ended.

    Returns:
        In a forked process, the request that it is for. In this one None, when the process that asks is gone.
    """
    ends = selectors.DefaultSelector()
    ends.register(control, selectors.EVENT_READ)
    replies: dict[int, int] = {}
    while True:
        for key, _ in ends.select():
            if key.fileobj is not control:
                _say(replies.pop(key.fd), os.waitstatus_to_exitcode(os.waitpid(key.data, 0)[1]))
                ends.unregister(key.fileobj)
                os.close(key.fd)
                continue
            request = Request.read(control)
            if request is None:
                return None
            load(request.module)
            parent = os.getpid()
            pid = os.fork()
            if not pid:
                end_with(parent)
                for descriptor in (*replies, *replies.values(), request.reply):
                    os.close(descriptor)
                ends.close()
                control.close()
                return request
            for descriptor in request.streams:
                os.close(descriptor)
            if not _say(request.reply, pid, more=True):
                os.kill(pid, signal.SIGTERM)
            watched = os.pidfd_open(pid)
            replies[watched] = request.reply
            ends.register(watched, selectors.EVENT_READ, pid)


def _say(reply: int, number: int, *, more: bool = False) -> bool:
    """Tell the process that asked; whether it still listens."""
    listens = True
    try:
        os.write(reply, b"%*d" % (WIDTH, number))
    except BrokenPipeError:
        listens = False
    if not more:
        os.close(reply)
    return listens


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked = socket.socket(fileno=int(sys.argv[1]))
    for library in sys.argv[2:]:
        load(library)
    job = serve(asked)
    if job is None:
        os._exit(0)
    job.become()
