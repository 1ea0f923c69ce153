"""Adapters in a generator: loaded when asked for, unloaded when no answer uses them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from twin_assets_tests.support.site import add_adapter
from twin_resources.config.settings import Settings
from twin_resources.generation.base import Generator, GeneratorError
from twin_resources.generation.embedded import EmbeddedGenerator
from twin_resources.rag import prompt
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.releases import Releases
from twin_serving.answering.adapters import Adapters


@pytest.fixture
def generator(made: tuple[Settings, sa.Engine]) -> Iterator[Generator]:
    """The tiny base, in this process."""
    found = EmbeddedGenerator.of(made[0], render=prompt.render, stop=prompt.STOP)
    yield found
    found.close()


@pytest.fixture
def adapters(made: tuple[Settings, sa.Engine]) -> Adapters:
    settings, database = made
    return Adapters(Releases(database), ArtifactStore.of(settings), keep=1)


def test_over_the_limit_the_least_recently_used_leaves(adapters: Adapters, generator: Generator) -> None:
    for version in ("ada-first", "ada-second", "ada-first"):
        adapters.load(generator, version)
    assert adapters.names() == ["ada-second", "ada-first"]
    adapters.unload_idle(generator, ())
    assert adapters.names() == list(generator.loaded()) == ["ada-first"]


def test_what_an_answer_uses_or_a_champion_needs_stays(adapters: Adapters, generator: Generator) -> None:
    for version in ("ada-first", "ada-second"):
        adapters.load(generator, version)
    release, other = adapters.hold("ada-first"), adapters.hold("ada-first")
    adapters.unload_idle(generator, {"ada-second", None})
    assert adapters.names() == ["ada-first", "ada-second"]
    release()
    release()
    adapters.unload_idle(generator, {"ada-second"})
    assert adapters.names() == ["ada-first", "ada-second"], "letting go twice lets go once"
    other()
    adapters.unload_idle(generator, {"ada-second"})
    assert adapters.names() == ["ada-second"]


def test_an_adapter_may_lie_one_folder_deeper_and_has_to_be_there(
    adapters: Adapters, generator: Generator, made: tuple[Settings, sa.Engine], tmp_path: Path
) -> None:
    settings, database = made
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no adapter")
    add_adapter(settings, database, "ada-empty", tmp_path / "empty")
    with pytest.raises(GeneratorError, match="of ada-empty holds no adapter_config"):
        adapters.load(generator, "ada-empty")
    first = ArtifactStore.of(settings).folder(Releases(database).get("ada-first").artifact)
    (tmp_path / "deep" / "adapter").mkdir(parents=True)
    for file in first.iterdir():
        if file.name.startswith("adapter"):
            (tmp_path / "deep" / "adapter" / file.name).write_bytes(file.read_bytes())
    add_adapter(settings, database, "ada-deep", tmp_path / "deep")
    adapters.load(generator, "ada-deep")
    assert "ada-deep" in generator.loaded()
