"""Dataset versions: the newest is what training reads, each names what it was made of, and splits stay apart."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import sqlalchemy as sa

from twin_resources.config.settings import Settings
from twin_resources.storage.datasets import Datasets, Member
from twin_resources.storage.sources import Authors


@pytest.fixture
def datasets(engine: sa.Engine, settings: Settings) -> Datasets:
    for author in settings.authors:
        Authors(engine).record(author)
    return Datasets(engine)


def add(datasets: Datasets, name: str, members: Iterable[Member] = (), author: str = "ada") -> None:
    datasets.add(name, author, "instruct", f"datasets/{name}", {"size": 1}, members)


def member(sample: str, document: str, split: str) -> Member:
    return Member(sample, f"chunk-{sample}", document, f"https://ada.example/{document}", split)


def test_training_reads_the_version_that_was_made_last(datasets: Datasets) -> None:
    assert datasets.newest("ada", "instruct") is None
    add(datasets, "one")
    add(datasets, "two")
    add(datasets, "bos", author="bo")
    assert [each.id for each in datasets.list("ada", "instruct")] == ["two", "one"]
    newest = datasets.newest("ada", "instruct")
    assert newest
    assert (newest.id, newest.artifact, newest.manifest) == ("two", "datasets/two", {"size": 1})
    assert datasets.newest("ada", "preference") is None


def test_the_same_content_made_again_is_the_newest_again_and_not_a_second_version(datasets: Datasets) -> None:
    for name in ("one", "two", "one"):
        add(datasets, name, [member("s", "d", "train")])
    assert [each.id for each in datasets.list("ada")] == ["one", "two"]
    assert datasets.members("one") == [member("s", "d", "train")]


def test_the_first_digits_name_a_version_where_they_are_unambiguous(datasets: Datasets) -> None:
    for name in ("aa1", "aa2", "b%1"):
        add(datasets, name)
    found = datasets.get("aa1")
    assert found
    assert found.id == "aa1"
    assert datasets.get("aa") is None
    assert datasets.get("%") is None, "what a user types is no pattern"


def test_every_sample_leads_to_its_passage_and_document(datasets: Datasets) -> None:
    members = [member("s2", "d2", "test"), member("s1", "d1", "train")]
    add(datasets, "one", members)
    assert datasets.members("one") == members[::-1]
    assert datasets.members("two") == []


def test_a_document_held_out_by_one_version_and_trained_on_by_another_is_found(datasets: Datasets) -> None:
    add(datasets, "before", [member("s1", "moved", "train"), member("s2", "kept", "test")])
    add(datasets, "after", [member("s1", "moved", "test"), member("s3", "moved", "test"), member("s2", "kept", "test")])
    assert datasets.urls_in_both("after", "before") == ["https://ada.example/moved"]
    assert datasets.urls_in_both("after", "after") == []
