"""The real application behind a real port, and a client of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
import sqlalchemy as sa

from twin_assets_tests.support.databases import Lending
from twin_assets_tests.support.site import Api, add_adapter, running
from twin_assets_tests.support.tiny_models import TinyModels
from twin_resources.config.settings import Settings


@pytest.fixture(scope="session")
def api(
    lending: Lending,
    settings_of: Callable[..., Settings],
    seed: Callable[[Settings], sa.Engine],
    tiny: TinyModels,
) -> Iterator[Api]:
    """The application with Ada's documents, the tiny base and three adapters, none of them champion."""
    settings = settings_of(lending.make(), models={"base": str(tiny.base), "reranker": None})
    database = seed(settings)
    for name in ("first", "second"):
        add_adapter(settings, database, f"ada-{name}", getattr(tiny, name))
    add_adapter(settings, database, "ada-failed", tiny.endless, passed=False)
    with running(settings, database) as found:
        yield found


@pytest.fixture
def client(api: Api) -> Iterator[httpx.Client]:
    """A client of ``api``."""
    with api.client() as found:
        yield found
