"""Which back end trains: ``training.backend`` and what can be had here, before any of their libraries is imported."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twin_assets.train.backends import unsloth
from twin_assets.train.backends.base import Backend
from twin_assets.train.backends.group import Group
from twin_assets.train.backends.guards import TrainingError
from twin_assets.train.backends.peft import PeftBackend
from twin_resources.config.training import TrainingSettings

FAMILIES = ("gemma", "gemma2", "llama", "mistral", "qwen2", "qwen3")
"""Whose layers ``unsloth.FastLanguageModel`` has its own of, by ``model_type``. The others it has compiled as they are,
which changes what they return."""
QUANTIZATIONS = (None, "nf4")
DTYPES = ("auto", "bfloat16", "float32")
_BFLOAT16 = (8, 0)
_MAJOR, _MINOR = 75, 76
"""``CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…``"""
_PATCHED = ("transformers", "peft", "trl")


class NoUnsloth(TrainingError):
    """``training.backend`` names Unsloth, and it cannot train this here."""


@dataclass(frozen=True)
class Interpreter:
    """What there is in this process.

    Args:
        capability: of the first CUDA device; None without one.
        loaded: what is imported already of that into which Unsloth puts its own code.
    """

    installed: bool
    bitsandbytes: bool
    capability: tuple[int, int] | None
    loaded: tuple[str, ...] = ()

    @classmethod
    def here(cls) -> Interpreter:
        """By a look that imports nothing, and leaves no device in use."""
        installed, bitsandbytes = (importlib.util.find_spec(name) is not None for name in ("unsloth", "bitsandbytes"))
        loaded = tuple(name for name in _PATCHED if name in sys.modules and "unsloth" not in sys.modules)
        return cls(installed, bitsandbytes, cuda_capability() if installed else None, loaded)

    @property
    def has_device(self) -> bool:
        """Whether there is a GPU, or Unsloth was told to do without one, as its own tests tell it."""
        return self.capability is not None or os.environ.get("UNSLOTH_ALLOW_CPU") == "1"


@dataclass(frozen=True)
class Obstacle:
    """Why Unsloth cannot train something, and what a person who wants it to could change."""

    reason: str
    remedy: str


def cuda_capability() -> tuple[int, int] | None:
    """The compute capability of the first CUDA device that this process may use, by the driver itself; None without."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    count, device, major, minor = (ctypes.c_int() for _ in range(4))
    calls: tuple[tuple[Any, ...], ...] = (
        (driver.cuInit, 0),
        (driver.cuDeviceGetCount, ctypes.byref(count)),
        (driver.cuDeviceGet, ctypes.byref(device), 0),
        (driver.cuDeviceGetAttribute, ctypes.byref(major), _MAJOR, device),
        (driver.cuDeviceGetAttribute, ctypes.byref(minor), _MINOR, device),
    )
    if any(call(*arguments) for call, *arguments in calls):
        return None
    return major.value, minor.value


def obstacles(
    parameters: TrainingSettings, base: Path, dtype: str, processes: int, there: Interpreter
) -> Iterator[Obstacle]:
    """Everything for which Unsloth cannot train an adapter of this base here, what is most basic first.

    Args:
        base: folder of the base model.
        processes: that are to train side by side.
    """
    if not there.installed:
        yield Obstacle(
            f"it is not installed in {sys.executable}",
            "install it in an interpreter of its own and name that in training.python (docs/training.md says how)",
        )
    elif not there.has_device:
        yield Obstacle("there is no CUDA device here", "train on a machine with an NVIDIA GPU")
    if there.loaded:
        yield Obstacle(
            f"{there.loaded[0]} is imported already, and it has to be first",
            "set training.python, so that the training gets a process of its own",
        )
    if processes > 1:
        yield Obstacle(
            f"{processes} processes are to share the training, and it is used here by one alone",
            "set training.processes and training.nodes to 1",
        )
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    family, positions = config.get("model_type"), config.get("max_position_embeddings")
    if family not in FAMILIES:
        yield Obstacle(
            f"it has no layers of its own for {base.name}, which is a {family}",
            f"choose a base of {', '.join(FAMILIES[:-1])} or {FAMILIES[-1]} in models.base",
        )
    if parameters.quantization not in QUANTIZATIONS or (parameters.quantization and not there.bitsandbytes):
        yield Obstacle(
            f"it cannot keep a base in {parameters.quantization} here",
            "install bitsandbytes beside it, or set training.quantization to null or nf4",
        )
    if dtype not in DTYPES:
        yield Obstacle(f"it is not used in {dtype} here", "set models.dtype to auto, bfloat16 or float32")
    if dtype != "float32" and there.capability and there.capability < _BFLOAT16:
        yield Obstacle("this GPU does not compute in bfloat16", "set models.dtype to float32, or take a newer GPU")
    longest = max(parameters.max_sample_tokens, parameters.max_answering_tokens)
    if positions and longest > positions:
        yield Obstacle(
            f"samples may have {longest} tokens and the base has {positions} positions, which it would stretch",
            "lower training.max_sample_tokens and training.max_answering_tokens",
        )


def chosen(
    parameters: TrainingSettings,
    *,
    base: Path,
    dtype: str,
    workdir: Path,
    log: Callable[[str], None],
    group: Group | None = None,
    there: Interpreter | None = None,
) -> Backend:
    """The back end that trains, ready to; says which and, of ``auto``, why.

    Args:
        base: folder of the base model.
        workdir: what a back end writes for itself goes there.
        group: the processes that train side by side.

    Raises:
        NoUnsloth: it is named, and cannot train this here.
        TrainingError: it is there, and cannot be imported.
    """
    group = group or Group()
    if parameters.backend == "peft":
        return PeftBackend(group)
    against = next(obstacles(parameters, base, dtype, group.size, there or Interpreter.here()), None)
    if against and parameters.backend == "unsloth":
        raise NoUnsloth(
            f"training.backend is unsloth, and {against.reason}",
            f"{against.remedy}, or set training.backend to auto or peft, in twin.yaml",
        )
    if against:
        log(f"training with PEFT and not with Unsloth: {against.reason}")
        return PeftBackend(group)
    unsloth.load(workdir)
    version = ""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        version = f" {importlib.metadata.version('unsloth')}"
    log(f"training with Unsloth{version}: it is installed here, and has layers of its own for {base.name}")
    return unsloth.UnslothBackend(group)
