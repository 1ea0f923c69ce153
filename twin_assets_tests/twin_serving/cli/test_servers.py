"""Starting servers from the command line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from twin_assets_tests.support.command_line import Twin
from twin_assets_tests.support.processes import free_ports


@pytest.fixture
def new_port() -> Callable[[], int]:
    return lambda: free_ports(1)[0]


def test_an_engine_that_does_not_answer_is_named(
    ada: Twin, monkeypatch: pytest.MonkeyPatch, new_port: Callable[[], int]
) -> None:
    assert "needs TWIN_ENGINE_URL" in ada("up", "--engine", "sglang", code=1)
    monkeypatch.setenv("TWIN_ENGINE_URL", f"http://127.0.0.1:{new_port()}/v1")
    assert "no engine answers at" in ada("up", "--engine", "sglang", code=1)
    assert "embedded, sglang, none" in ada("up", "--engine", "abacus", code=2)
