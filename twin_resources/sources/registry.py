"""Every source by its kind: one module a platform, found by being in this folder."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path

from twin_resources import sources
from twin_resources.errors import SourceError
from twin_resources.sources.base import Source

_REGISTRY: dict[str, type[Source]] = {}


def source(cls: type[Source]) -> type[Source]:
    """Register a source class under its ``kind``."""
    if cls.kind in _REGISTRY and _REGISTRY[cls.kind].__qualname__ != cls.__qualname__:
        raise ValueError(f"two sources call themselves {cls.kind!r}")
    _REGISTRY[cls.kind] = cls
    return cls


@functools.cache
def registry() -> Mapping[str, type[Source]]:
    """Every source class by ``kind``; imports each module of this folder once."""
    for module in pkgutil.iter_modules(sources.__path__):
        importlib.import_module(f"{sources.__name__}.{module.name}")
    return dict(sorted(_REGISTRY.items()))


def detect(path: Path) -> type[Source]:
    """The source class that recognises ``path``; a specific format is asked before a general one.

    Raises:
        SourceError: the path does not exist, or no source recognises it.
    """
    if not path.exists():
        raise SourceError(f"{path}: no such file or folder")
    for cls in sorted(registry().values(), key=lambda cls: -cls.priority):
        if cls.recognises(path):
            return cls
    formats = ", ".join(sorted({cls.format for cls in registry().values() if cls.format}))
    raise SourceError(f"{path}: the format was not recognised; name it with --format ({formats})")
