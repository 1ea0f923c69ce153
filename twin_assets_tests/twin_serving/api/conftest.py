"""An application with a second author, who wrote enough to know a style by."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from twin_assets.clean.snapshot import take_snapshot
from twin_assets_tests.support.prose import essay_texts, few_impostors
from twin_assets_tests.support.site import Api, running
from twin_assets_tests.support.tiny_models import TinyModels
from twin_resources.config.settings import Settings
from twin_resources.sources.base import RawDocument
from twin_resources.sources.folder import Folder
from twin_resources.storage.warehouse import Warehouse
from twin_serving.answering import scoring


@pytest.fixture(scope="module")
def essayist(
    new_settings: Callable[..., Settings], seed: Callable[[Settings], sa.Engine], tiny: TinyModels
) -> Iterator[Api]:
    """An application with a key, Ada's four short documents and ten essays of Bo's; few impostors, for speed."""
    settings = new_settings(models={"base": str(tiny.base), "reranker": None}, api_keys="first-key")
    database = seed(settings)
    with pytest.MonkeyPatch.context() as patch, running(settings, database) as found:
        patch.setattr(scoring, "packaged", few_impostors)
        _write(found, "bo", essay_texts(10))
        yield found


def _write(api: Api, author: str, texts: tuple[str, ...]) -> None:
    of = api.settings.author(author).author
    warehouse = Warehouse(api.database)
    source = warehouse.remember_source(author, Folder("/nowhere", of), {}, remembered=True)
    raw = [
        RawDocument(f"https://bo.example/{row}", "web", "articles", "text/markdown", text, title=f"Essay {row}")
        for row, text in enumerate(texts)
    ]
    warehouse.collect(author, source, raw, origin="folder", name="test")
    take_snapshot(warehouse, of, "articles")
