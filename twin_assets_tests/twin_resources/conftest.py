"""Fixtures for tests of search: the packaged embedder, and a database with a few passages."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from twin_assets_tests.support.passages import fill
from twin_resources.config.settings import Settings
from twin_resources.retrieval.embedder import Embedder
from twin_resources.retrieval.search import Search
from twin_resources.retrieval.vectors import VectorIndex


@pytest.fixture
def index(engine: sa.Engine, settings: Settings, embedder: Embedder) -> VectorIndex:
    """Ada's four articles, embedded and served; Bo's, cut only."""
    return fill(engine, settings, embedder)


@pytest.fixture
def search(index: VectorIndex) -> Search:
    """Search over them."""
    return Search(index.engine, index.model)
