"""What the gate lets through."""

from __future__ import annotations

from typing import Any

import pytest

from twin_assets.release.gate import decide
from twin_resources.config.settings import ReleaseSettings


def figures(**changes: Any) -> dict[str, Any]:
    base = {
        "candidate": "me-2",
        "champion": None,
        "loss": {"base": 4.0, "me-2": 3.6},
        "gain": 0.1,
        "gain_interval": [0.08, 0.12],
        "documents": 9,
    }
    return {**base, **changes}


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({}, []),
        ({"gain": 0.005, "gain_interval": [0.001, 0.01]}, ["better_than_base"]),
        ({"gain": 0.05, "gain_interval": [-0.01, 0.1]}, ["gain_is_certain"]),
        ({"champion": "me-1", "loss": {"base": 4.0, "me-2": 3.6, "me-1": 3.0}}, ["not_worse_than_champion"]),
        ({"champion": "me-1", "loss": {"base": 4.0, "me-2": 3.6, "me-1": 3.58}}, []),
        ({"champion": "me-2"}, []),
    ],
)
def test_verdicts(changes: dict[str, Any], failed: list[str]) -> None:
    verdict = decide(figures(**changes), ReleaseSettings())
    assert verdict["failed"] == failed
    assert verdict["passed"] is (not failed)
