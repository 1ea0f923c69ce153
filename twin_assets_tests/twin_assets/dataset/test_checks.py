"""The dataset asset is checked in its run, and a fault in what is stored is named with its sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
import yaml

from twin_assets import keys
from twin_assets.chunk.passages import chunker_id, cut_new
from twin_assets.clean.snapshot import take_snapshot
from twin_assets.dataset import checks, files
from twin_assets.dataset.samples import InstructDataset
from twin_assets.definitions import defs
from twin_assets_tests.support.essays import essays
from twin_resources.config.settings import Settings
from twin_resources.retrieval.embedder import TokenCounter
from twin_resources.runtime.resources import Twin
from twin_resources.sources.base import RawDocument
from twin_resources.sources.jsonl import JsonLines


@pytest.fixture(scope="module")
def twin(
    new_settings: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Twin]:
    """An author with essays that are collected, cleaned and cut."""
