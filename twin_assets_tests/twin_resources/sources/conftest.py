"""What a source yielded, sorted into documents, skipped and quarantined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from twin_resources.sources.base import Author, Item, Quarantined, RawDocument, Skipped
from twin_resources.sources.registry import detect, registry


@dataclass(frozen=True)
class Harvest:
    items: tuple[Item, ...]

    @property
    def documents(self) -> list[RawDocument]:
        return [item for item in self.items if isinstance(item, RawDocument)]

    @property
    def by_url(self) -> dict[str, RawDocument]:
        return {document.url: document for document in self.documents}

    @property
    def skipped(self) -> Counter[str]:
        return Counter(item.reason for item in self.items if isinstance(item, Skipped))

    @property
    def quarantined(self) -> dict[str, str]:
        return {item.item: item.reason for item in self.items if isinstance(item, Quarantined)}


Harvester = Callable[..., Harvest]


@pytest.fixture(scope="session")
def harvest() -> Harvester:
    """Read a location with the source of a kind, or with the one that recognises it."""

    def read(location: Path | str, kind: str | None = None, author: str = "Ada Example", **options: Any) -> Harvest:
        cls = registry()[kind] if kind else detect(Path(location))
        found = Harvest(tuple(cls(str(location), Author("ada", author), options).read()))
        urls = [document.url for document in found.documents]
        assert len(urls) == len(set(urls)), "a URL identifies one document"
        assert all(item.remedy and item.reason for item in found.items if isinstance(item, Quarantined))
        return found

    return read
