"""Fixtures for tests of search: the packaged embedder, and a database with a few passages."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from twin_assets_tests.twin_resources.corpus import fill
from twin_resources.embedder import Embedder
from twin_resources.search import Search
from twin_resources.settings import Settings
from twin_resources.vectors import VectorIndex


@pytest.fixture(scope="session")
def embedder(server: Settings) -> Embedder:
    """The packaged MiniLM."""
    return Embedder.of(server)


@pytest.fixture
def index(engine: sa.Engine, settings: Settings, embedder: Embedder) -> VectorIndex:
    """Ada's four articles, embedded and served; Bo's, cut only."""
    return fill(engine, settings, embedder)


@pytest.fixture
def search(index: VectorIndex) -> Search:
    """Search over them."""
    return Search(index.engine, index.model)
