"""What ``dtype: auto`` means on a machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from twin_assets_tests.support.tiny_models import TinyModels
from twin_resources.models import causal, precision


@pytest.fixture(autouse=True)
def on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.parametrize(
    ("slowdown", "expected"), [(0.5, torch.bfloat16), (1.4, torch.bfloat16), (16.0, torch.float32)]
)
def test_a_model_computes_in_bfloat16_only_where_that_is_quick(
    tiny: TinyModels, monkeypatch: pytest.MonkeyPatch, slowdown: float, expected: torch.dtype
) -> None:
    monkeypatch.setattr(precision, "slowdown", lambda: slowdown)
    assert causal.load_model(Path(tiny.base)).dtype == expected
    assert causal.load_model(Path(tiny.base), "bfloat16").dtype == torch.bfloat16, "a person's choice stands"


def test_a_gpu_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(precision, "slowdown", pytest.fail)
    assert precision.resolved("auto") == "bfloat16"


def test_what_a_layer_takes_is_measured_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    took = {torch.float32: 1.0, torch.bfloat16: 16.0}
    threads: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(precision, "_seconds", lambda dtype, learning: (threads.append(0), took[dtype])[1])
    precision.slowdown.cache_clear()
    assert precision.slowdown() == 16.0
    assert threads == [1, 0, 0, 7], "threads that wait for one another would be measured instead"
    took[torch.bfloat16] = 1.0
    assert precision.slowdown() == 16.0
    precision.slowdown.cache_clear()
    monkeypatch.undo()
    assert precision.slowdown() > 0


@pytest.mark.parametrize(("slowdown", "expected"), [(0.4, True), (0.9, False), (16.0, False)])
def test_a_second_copy_of_a_model_is_kept_only_where_it_is_much_quicker(
    monkeypatch: pytest.MonkeyPatch, slowdown: float, expected: bool
) -> None:
    monkeypatch.setattr(precision, "slowdown", lambda learning: 1.0 if learning else slowdown)
    assert precision.quickly() is expected
    monkeypatch.undo()
    assert precision.slowdown(learning=False) > 0
