"""Starting servers from the command line."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from twin_assets_tests.support import sglang_server
from twin_assets_tests.support.command_line import Twin
from twin_assets_tests.support.processes import free_ports


@pytest.fixture
def new_port() -> Callable[[], int]:
    return lambda: free_ports(1)[0]


def test_an_engine_that_does_not_answer_is_named(
    ada: Twin, monkeypatch: pytest.MonkeyPatch, new_port: Callable[[], int]
) -> None:
    assert "an SGLang: name the address of one" in ada("up", "--engine", "sglang", code=1)
    monkeypatch.setenv("TWIN_ENGINE_URL", f"http://127.0.0.1:{new_port()}/v1")
    assert "no engine answers at" in ada("up", "--engine", "sglang", code=1)
    assert "embedded, sglang, none" in ada("up", "--engine", "abacus", code=2)


def test_the_port_of_an_engine_that_is_to_be_started_has_to_be_free(ada: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_ENGINE__PYTHON", str(sglang_server.interpreter(ada.folder)))
    monkeypatch.setenv("TWIN_ENGINE__GPUS", "0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("TWIN_ENGINE_PORT", str(port))
        said = ada("up", "--api-only", "--engine", "sglang", code=1)
    assert f"port {port} of the SGLang engine is in use" in said
    assert f"TWIN_ENGINE_PORT={port + 10}" in said
