"""Which floating-point type a model computes in where nobody chose one."""

from __future__ import annotations

import functools
import time

SLOWER = 1.5
"""How many times as long as float32 bfloat16 may take on a CPU; it needs half the memory."""
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


@functools.cache
def slowdown() -> float:
    """How many times as long as in float32 a linear layer, forward and backward, takes in bfloat16 on this CPU.

    On one thread: several wait for one another, and beside other work that takes longer than the layer does, in either
    type, so that the two look alike.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _seconds(torch.bfloat16) / _seconds(torch.float32)
    finally:
        torch.set_num_threads(threads)


def _seconds(dtype: object) -> float:
    """The quickest of some rounds, so that other work on the machine does not count."""
    import torch

    inputs = torch.ones(_BATCH, _INPUTS, dtype=dtype, requires_grad=True)  # pyright: ignore[reportArgumentType]
    weight = torch.ones(_OUTPUTS, _INPUTS, dtype=dtype)  # pyright: ignore[reportArgumentType]
    found = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        torch.nn.functional.linear(inputs, weight).sum().backward()
        found.append(time.perf_counter() - began)
    return min(found)
