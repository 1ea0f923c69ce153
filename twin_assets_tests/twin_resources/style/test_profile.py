"""An author's profile: when there is one, when it is made anew, and what it keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from twin_assets.clean.snapshot import take_snapshot
from twin_assets_tests.support.forgetting import forget
from twin_assets_tests.support.prose import documents, essay_texts, few_impostors, mira
from twin_resources.config.settings import Settings
from twin_resources.sources.base import RawDocument
from twin_resources.sources.folder import Folder
from twin_resources.storage.warehouse import Warehouse
from twin_resources.style import profile
from twin_resources.style.profile import Profiles, StyleError


def collect(warehouse: Warehouse, settings: Settings, texts: tuple[str, ...]) -> None:
    author = settings.author("ada")
    warehouse.record_author(author)
    source = warehouse.remember_source("ada", Folder("/nowhere", author.author), {}, remembered=True)
    raw = [
        RawDocument(f"https://ada.example/{row}", "web", "articles", "text/markdown", text, title=f"Essay {row}")
        for row, text in enumerate(texts)
    ]
    warehouse.collect("ada", source, raw, origin="folder", name="test", accept_removals=True)
    take_snapshot(warehouse, author.author, "articles")


@pytest.fixture
def profiles(engine: sa.Engine, settings: Settings, tmp_path: Path) -> Profiles:
    collect(Warehouse(engine), settings, essay_texts(10))
    return Profiles(tmp_path, Warehouse(engine).clean, few_impostors())


def test_a_profile_is_made_once_until_a_document_changes(
    profiles: Profiles, engine: sa.Engine, settings: Settings, tmp_path: Path
) -> None:
    first = profiles.of("ada")
    [kept] = tmp_path.rglob("*.npz")
    written = kept.stat().st_mtime_ns
    again = profiles.of("ada")
    assert kept.stat().st_mtime_ns == written
    assert again.key == first.key == kept.stem
    np.testing.assert_allclose(again.scored[1].own, first.scored[1].own)
    assert again.calibration().measures == first.calibration().measures
    forget(engine, first.documents[0])
    after = profiles.of("ada")
    assert after.key != first.key
    assert first.documents[0] not in after.documents
    assert [path.stem for path in tmp_path.rglob("*") if path.suffix] == [after.key], "nothing of the old one stays"


def test_a_profile_holds_no_words_of_the_author(profiles: Profiles, tmp_path: Path) -> None:
    profiles.of("ada")
    [kept] = tmp_path.rglob("*.npz")
    with np.load(kept, allow_pickle=False) as file:
        texts = [name for name in file.files if file[name].dtype.kind in "USO"]
    assert texts == ["documents"], "ids of documents are all that is written in letters"


def test_forgetting_removes_it(profiles: Profiles, tmp_path: Path) -> None:
    profiles.of("ada")
    profile.forget(tmp_path, "ada")
    assert list(tmp_path.rglob("*.npz")) == []


def test_too_little_text_and_another_language_are_refused_with_a_remedy() -> None:
    with pytest.raises(StyleError, match=r"2 documents, which is too little.*twin import"):
        profile.build("ada", "key", documents(essay_texts(2)), few_impostors())
    german = "Der Pegel steht seit vielen Jahren am Hafen, und niemand liest ihn ab, weil das Wasser immer kommt. " * 40
    with pytest.raises(StyleError, match="another language than English"):
        profile.build("ada", "key", documents(tuple(f"{german} {row}" for row in range(6))), few_impostors())


def test_every_topic_blind_voice_is_measured_at_both_lengths() -> None:
    measures = mira().calibration().measures
    assert {(each.voice, each.words) for each in measures if each.masked} == {
        (voice, words)
        for voice in ("character n-grams, masked", "function words", "General Impostors, masked", "LambdaG", "combined")
        for words in (100, 250)
    }
    assert mira().calibration().measure("combined", 250).counts
