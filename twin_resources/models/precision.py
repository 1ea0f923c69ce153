"""Which floating-point type a model computes in where nobody chose one."""

from __future__ import annotations

import functools
import time
from typing import Any

SLOWER = 1.5
"""How many times as long as float32 bfloat16 may take on a CPU; it needs half the memory."""
QUICKER = 0.7
"""At most so many times as long as in float32 may what need not be exact take in bfloat16."""
_ROUNDS = 10
_BATCH, _INPUTS, _OUTPUTS = 64, 640, 512


def resolved(dtype: str) -> str:
    """The name of the torch type that ``dtype`` means here: of ``auto`` bfloat16, on a CPU only where it is quick.

    Some CPUs, and some kernels on them, emulate bfloat16: training the packaged base then takes many times as long as
    in float32. No flag of the CPU tells them apart, so it is tried, once a process.
    """
    import torch

    if dtype != "auto":
        return dtype
    return "bfloat16" if torch.cuda.is_available() or slowdown() <= SLOWER else "float32"


def quickly() -> bool:
    """Whether a CPU reads in bfloat16 so much faster than in float32 that a second copy of a model is worth it."""
    return slowdown(learning=False) <= QUICKER


@functools.cache
def slowdown(*, learning: bool = True) -> float:
    """How many times as long as in float32 a linear layer, forward and backward, takes in bfloat16 on this CPU.

    On one thread: several wait for one another, and beside other work that takes longer than the layer does, in either
    type, so that the two look alike.

    Args:
        learning: without it, forward alone.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _seconds(torch.bfloat16, learning) / _seconds(torch.float32, learning)
    finally:
        torch.set_num_threads(threads)


def _seconds(dtype: Any, learning: bool) -> float:
    """The quickest of some rounds, so that other work on the machine does not count."""
    import torch

    inputs = torch.ones(_BATCH, _INPUTS, dtype=dtype, requires_grad=learning)
    weight = torch.ones(_OUTPUTS, _INPUTS, dtype=dtype)
    found = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        product = torch.nn.functional.linear(inputs, weight)
        if learning:
            product.sum().backward()
        found.append(time.perf_counter() - began)
    return min(found)
