"""The engine that serves, for what is measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from twin_resources.config.settings import Settings
from twin_resources.generation.embedded import EmbeddedGenerator
from twin_resources.rag import prompt


def engine_of(name: str, folder: Path, settings: Settings, adapters: Mapping[str, Path]) -> EmbeddedGenerator:
    """The engine that serves, so that answers are decoded as readers get them."""
    made = EmbeddedGenerator(name, folder, render=prompt.render, stop=prompt.STOP, dtype=settings.models.dtype)
    for version, adapter in adapters.items():
        made.load(version, adapter)
    return made
