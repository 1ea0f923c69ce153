"""Pairs without readers: the author's text over a model's answer, and never where that is as good or length tells."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml

from twin_assets import keys
from twin_assets.dataset import files
from twin_assets.dataset.generators import rejected
from twin_assets.dataset.generators.preference import PreferencePair
from twin_assets.dataset.generators.rejected import Prompted, Speaker
from twin_assets.dataset.samples import InstructDataset
from twin_assets.definitions import defs
from twin_assets_tests.support import essays, rows
from twin_assets_tests.support.site import add_adapter
from twin_assets_tests.support.tiny_models import BASE, FIRST, TinyModels
from twin_resources.config.settings import Settings
from twin_resources.runtime.launcher import Compute
from twin_resources.runtime.resources import Twin
from twin_resources.sources.base import RawDocument
from twin_resources.sources.folder import Folder
from twin_resources.storage.datasets import DatasetVersion, Member

SPEAKER = Speaker("base", "tiny")
SAID = "The harbour is quiet in the morning, and nobody asks why the gulls stay away from it for so long."


def sentences(count: int, seed: int) -> str:
    dice = random.Random(seed)
    return " ".join(essays.sentence(dice) for _ in range(count))


def prompted(answer: str, key: str = "p") -> Prompted:
    return Prompted(key, rows.sample(f"Tell me about {key}.", answer, id=f"s-{key}"), SPEAKER)


def test_of_training_samples_without_passages_some_are_drawn_and_always_the_same() -> None:
    samples = [rows.sample(f"Write of {number}.", sentences(3, number), id=f"s{number}") for number in range(30)]
    others = [
        rows.sample("A", "B", id="t", split="test"),
        rows.sample("C", "D", id="a", kind="answer"),
        rows.sample("E", "F", id="q", kind="question"),
    ]
    speakers = [SPEAKER, Speaker("champion", "tiny", "ada-1")]
    made = rejected.plan([*others, *samples], speakers, 10, author="Ada", max_tokens=64)
    assert Counter(each.speaker.origin for each in made) == {"base": 5, "champion": 5}
    assert {each.sample.split for each in made} == {"train"}
    assert {each.sample.kind for each in made} == {"section"}
    again = rejected.plan([*samples[::-1], *others], speakers, 10, author="Ada", max_tokens=64)
    assert [each.id for each in again] == [each.id for each in made]
    longer = rejected.plan(samples, speakers, 10, author="Ada", max_tokens=65)
    assert not {each.id for each in longer} & {each.id for each in made}, "an answer is kept by all that makes it"
    assert rejected.plan(samples, [], 10, author="Ada", max_tokens=64) == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "degenerate"),
        ("And so on and so on.", "degenerate"),
        ("round and round and " * 8 + "it goes.", "degenerate"),
        (sentences(3, 1).replace("times", "turns"), "nearly_the_same"),
        (sentences(6, 1).split(". ", 3)[3], "supported_as_well"),
        (f"{SAID} Write to bosun.harbour@gmail.com or call +47 22 12 34 56 about it.", "unclean"),
    ],
)
def test_an_answer_that_is_no_worse_makes_no_pair(answer: str, reason: str) -> None:
    dropped: Counter[str] = Counter()
    asked = prompted(sentences(3, 1))
    assert rejected.pairs([asked], {"p": answer}, {"c": sentences(6, 1)}, dropped) == []
    assert dropped == {reason: 1}


def test_both_texts_end_where_a_sentence_ends_and_say_where_they_come_from() -> None:
    own = sentences(8, 1)
    kept = rejected._pair(prompted(own), f"{SAID} {SAID} And then the", own)[1]
    assert kept
    assert own.startswith(kept.chosen)
    assert kept.chosen.endswith("times.")
    assert kept.rejected in (SAID, f"{SAID} {SAID}")
    assert (kept.rejected_from, kept.rejected_by, kept.document_id) == ("base", "tiny", "d")


def test_a_pair_says_whether_both_texts_are_whole(tmp_path: Path) -> None:
    short, long = sentences(3, 1), sentences(8, 1)
    whole = rejected._pair(prompted(short), f"{SAID} {SAID}", short)[1]
    cut = rejected._pair(prompted(long), f"{SAID} {SAID} And then the", long)[1]
    without_room = rejected._pair(prompted(short), f"{SAID} {SAID} And then the", short)[1]
    made = [each for each in (whole, cut, without_room) if each]
    files.write_preference(tmp_path, made)
    assert [each.whole for each in files.stream_pairs(tmp_path)] == [True, False, False]


def test_length_tells_nothing_whoever_writes_more() -> None:
    dice = random.Random(3)
    for mine, theirs in ((8, 3), (3, 8), (5, 5)):
        asked, answers, sources = [], {}, {}
        for number in range(200):
            key = f"{mine}-{number}"
            asked.append(prompted(sentences(mine, number), key))
            dice.seed(number)
            words = [f"other{dice.randint(0, 99)}" for _ in range(40 * theirs)]
            cuts = [" ".join(words[at : at + dice.randint(8, 25)]) for at in range(0, 25 * theirs, 25)]
            answers[key] = " ".join(f"Of {cut} nobody knows." for cut in cuts)
            sources["c"] = ""
        dropped: Counter[str] = Counter()
        made = rejected.pairs(asked, answers, {}, dropped)
        assert len(made) > 60, dropped
        assert abs(rejected.length_auc(made) - 0.5) <= 0.05
        assert max(abs(len(each.chosen.split()) - len(each.rejected.split())) for each in made) > 0


@dataclass
class Author:
    """An author with thirty documents and an instruct dataset of them."""

    folder: Path
    twin: Twin

    def make(self) -> DatasetVersion:
        """Materialise the preference dataset."""
        job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection={keys.PREFERENCE})
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("author", ["ada"])
            resources = {"twin": self.twin, "compute": Compute()}
            assert job.execute_in_process(instance=instance, partition_key="ada", resources=resources).success
        found = self.twin.datasets.newest("ada", "preference")
        assert found
        return found

    def pairs(self, version: DatasetVersion) -> list[PreferencePair]:
        """The pairs of a version."""
        rows = files.read(self.twin.artifacts.folder(version.artifact) / "pairs.parquet")
        return [PreferencePair(**row) for row in rows]

    def store(self) -> None:
        """The documents and the instruct dataset; every other answer is a short one."""
        source = Folder("/nowhere", self.twin.settings.author("ada").author)
        source_id = self.twin.warehouse.remember_source("ada", source, {}, remembered=True)
        urls = [f"https://ada.example/{number}" for number in range(30)]
        raw = [RawDocument(url, "web", "articles", "text/markdown", essays.essay(n)) for n, url in enumerate(urls)]
        self.twin.warehouse.collect("ada", source_id, raw, origin="folder", name="test")
        known = self.twin.warehouse.documents.at("ada", urls)
        samples = [
            rows.sample(
                f"Write of number {number}.",
                sentences(1, number) if number % 2 else f"The oar of year {number} is kept by the door.",
                id=f"s{number}",
                document_id=known[url].id,
                url=url,
            )
            for number, url in enumerate(urls)
        ]
        (self.folder / "instruct").mkdir()
        files.write_instruct(self.folder / "instruct", InstructDataset("ada", samples))
        address = self.twin.artifacts.put("datasets/instruct", self.folder / "instruct")
        members = [Member(each.id, "c", each.document_id, each.url, "train") for each in samples]
        self.twin.datasets.add("instruct-1", "ada", "instruct", address, {}, members)


@pytest.fixture
def ada(
    new_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Author]:
    """Makes the author with the base model of a name."""

    def make(base: str) -> Author:
        settings = new_settings()
        assert settings.database_url
        monkeypatch.setenv("TWIN_DATABASE_URL", settings.database_url.get_secret_value())
        monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))
        config = {
            "authors": [{"id": "ada", "name": "Ada Berg", "consent": "Written for this test. 2026-11-21"}],
            "models": {"base": base},
            "datasets": {"preference": {"pairs": 12, "max_tokens": 32}},
        }
        (tmp_path / "twin.yaml").write_text(yaml.safe_dump(config))
        twin = Twin(config=str(tmp_path / "twin.yaml"))
        twin.record_author("ada")
        made = Author(tmp_path, twin)
        made.store()
        return made

    return make


@pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated")  # Dagster's own Pipes ask for it
def test_base_and_champion_answer_once_and_the_pairs_say_who(
    ada: Callable[[str], Author], tiny: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    author = ada(str(tiny.base))
    twin = author.twin
    add_adapter(twin.settings, twin.engine, "ada-first", tiny.first)
    twin.releases.propose("ada", "ada-first")
    twin.releases.approve("ada-first", by="test")
    with twin.engine.begin() as session:  # the adapter comes with a dataset of its own, which is not the newest here
        earlier = "UPDATE dataset_version SET created_at = now() - interval '1 day' WHERE id <> 'instruct-1'"
        session.execute(sa.text(earlier))
    version = author.make()
    pairs = author.pairs(version)
    assert {(pair.rejected_from, pair.rejected, pair.rejected_by) for pair in pairs} == {
        ("base", BASE, str(tiny.base)), ("champion", FIRST, "ada-first")
    }  # fmt: skip
    counts, dropped = version.manifest["origins"], version.manifest["dropped"]
    assert counts == Counter(pair.rejected_from for pair in pairs)
    assert sum(counts.values()) + sum(dropped.values()) == 12, "whatever makes no pair is counted with its reason"
    assert {each.sample_id for each in twin.datasets.members(version.id)} == {pair.id for pair in pairs}
    card = (twin.artifacts.folder(version.artifact) / "README.md").read_text()
    assert f"| rejected from champion | {counts['champion']} |" in card

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a second run loads no model")

    monkeypatch.setattr(dg.PipesSubprocessClient, "run", never)
    assert author.make().id == version.id


def test_without_a_model_readers_pairs_are_still_made(ada: Callable[[str], Author]) -> None:
    author = ada("no-such-model")
    author.twin.interactions.record("t1", author="ada", call="ask", query="Why?", answer="Because of it.")
    author.twin.interactions.feedback("t1", "down", None, "Because of the tide.")
    version = author.make()
    assert version.manifest["origins"] == {"reader": 1}
    assert [(pair.chosen, pair.trace_id) for pair in author.pairs(version)] == [("Because of the tide.", "t1")]
