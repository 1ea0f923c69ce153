"""What the tests of several routes ask with."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from twin_assets_tests.support.site import Api
from twin_resources.storage.keys import ApiKeys, Kind


@pytest.fixture(scope="module")
def key_of(site: Api) -> Callable[[Kind, str], httpx.Client]:
    """Makes clients of the module's ``site``, each with a new key of a kind for one author."""

    def make(kind: Kind, author: str) -> httpx.Client:
        keys = ApiKeys(site.database)
        _, secret = keys.create(f"{kind}-{len(keys.list())}", kind, [author])
        return site.client(headers={"Authorization": f"Bearer {secret}"})

    return make
