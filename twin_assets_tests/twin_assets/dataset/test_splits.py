"""A document keeps its split for ever, whatever is added, edited, joined, removed or forgotten."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin_assets.dataset.splits import By, assign, part_of, position, settle, split_at, split_of
from twin_resources.storage.clean_store import Writing
from twin_resources.storage.datasets import Place

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def writing(key: str, **values: object) -> Writing:
    return Writing(**{"document_id": key, "used": True, "category": "articles", "url": f"https://x/{key}", **values})  # pyright: ignore[reportArgumentType]


@dataclass
class History:
    """An author's documents, each a set of texts, and every version that was made of them."""

    by: By
    texts: dict[str, frozenset[int]] = field(default_factory=dict)
    repositories: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    known: dict[str, Place] = field(default_factory=dict)
    sides: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    beside: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    numbers: int = 0

    def new(self, texts: frozenset[int] | None = None, repository: str | None = None) -> None:
        self.numbers += 1
        key = f"document-{self.by}-{self.numbers}"
        self.texts[key] = texts or frozenset({self.numbers})
        if repository:
            self.repositories[key] = repository

    def writings(self) -> list[Writing]:
        """As cleaning decides it: of documents that share text the first is used."""
        found: list[Writing] = []
        for key in sorted(self.texts.keys() - self.gone, key=position):
            original = next((each.document_id for each in found if each.used and self._share(key, each)), None)
            code = self.repositories.get(key)
            found.append(
                writing(
                    key,
                    used=original is None,
                    duplicate_of=original,
                    repository=code,
                    category="code" if code else "articles",
                    url=f"https://x/{key}.md",
                    published_at=DAY + timedelta(days=int(key.rsplit("-", 1)[1])),
                )
            )
        return found

    def _share(self, key: str, other: Writing) -> bool:
        return bool(self.texts[key] & self.texts[other.document_id])

    def version(self) -> None:
        """Make one, and hold it against all that were made before."""
        writings = self.writings()
        places = settle(writings, self.known, self.by)
        assert settle(reversed(writings), {**self.known, **places}, self.by) == places, "same state, same splits"
        self.known |= places
        used = {each.document_id: split_of(places[each.document_id]) for each in writings if each.used}
        for key, split in used.items():
            if split:
                self.sides[key].add(split)
            assert len(self.sides[key]) <= 1, f"{key} changed sides: {self.sides[key]}"
        originals = {each.document_id: each.duplicate_of or each.document_id for each in writings}
        for key, other in itertools.product(originals, used):
            split = used[other]
            if split and (originals[key] == originals[other] or self._one_repository(key, other)):
                self.beside[key].add(split)
                mine = used.get(key)
                assert mine in (None, split), f"{key} is {mine} and shares text with {other}, which is {split}"
        for key, split in used.items():
            assert split != "train" or "test" not in self.beside[key], f"the copy {key} of a test document is learned"
            assert split != "test" or "train" not in self.beside[key], f"the copy {key} of a learned document is a test"

    def _one_repository(self, key: str, other: str) -> bool:
        return key in self.repositories and self.repositories[key] == self.repositories.get(other)

    def forget(self, key: str) -> None:
        """The document goes with its copies, and with what is remembered of them."""
        for other in [each for each in self.texts if self.texts[each] & self.texts[key]]:
            for store in (self.texts, self.known, self.sides, self.beside, self.repositories):
                store.pop(other, None)


STEPS = st.tuples(st.sampled_from(["add", "copy", "join", "edit", "remove", "return", "forget", "push", "version"]),
                  st.integers(0, 10_000))  # fmt: skip


@pytest.mark.parametrize("by", ["hash", "time"])
@settings(max_examples=200, deadline=None, derandomize=True)
@given(start=st.integers(1, 30), steps=st.lists(STEPS, min_size=10, max_size=40))
def test_no_document_ever_changes_sides(by: By, start: int, steps: list[tuple[str, int]]) -> None:
    history = History(by)
    for _ in range(start):
        history.new()
    history.version()
    for step, number in steps:
        keys = sorted(history.texts)
        one, other = (keys[(number * factor) % len(keys)] for factor in (1, 7)) if keys else ("", "")
        if step == "add" or not keys:
            history.new()
        elif step == "push":
            history.new(repository=f"repository-{number % 3}")
        elif step == "copy":
            history.new(history.texts[one])
        elif step == "join":
            history.texts[one] |= history.texts[other]
        elif step == "edit":
            history.numbers += 1
            history.texts[one] = frozenset({history.numbers})
        elif step == "remove":
            history.gone.add(one)
        elif step == "return":
            history.gone.discard(one)
        elif step == "forget":
            history.forget(one)
        else:
            history.version()
    history.version()


def test_a_removed_document_moves_no_other_between_splits() -> None:
    for size in range(3, 40):
        mine = [writing(f"small-{size}-{number}") for number in range(size)]
        known = settle(mine, {})
        before = {key: split_of(place) for key, place in known.items()}
        for number in range(size):
            rest = mine[:number] + mine[number + 1 :]
            after = {key: split_of(place) for key, place in settle(rest, known).items()}
            assert after == {each.document_id: before[each.document_id] for each in rest}


def test_few_documents_still_fill_every_split_and_leave_most_to_learn_from() -> None:
    assert sorted(assign(["a", "b", "c", "d"]).values()) == ["test", "train", "train", "validation"]
    for size in range(3, 120):
        found = Counter(assign(f"{size}/{number}" for number in range(size)).values())
        assert found["test"] >= min(8, size / 5), "an interval over documents needs some"
        assert found["train"] >= size / 3
        assert found["validation"] > 0


def test_the_hash_alone_decides_on_documents_of_a_large_author() -> None:
    shares = Counter(assign(f"d{number}" for number in range(3000)).values())
    assert 0.08 < shares["test"] / 3000 < 0.12
    assert 0.08 < shares["validation"] / 3000 < 0.12
    assert all(split == split_at(position(key)) for key, split in assign(f"d{n}" for n in range(3000)).items())


def test_a_test_document_that_turns_out_to_share_text_stays_and_the_other_is_left_out_for_good() -> None:
    known = {"held": Place("held", 0.05, 0.05), "learned": Place("learned", 0.9, 0.9)}
    linked = settle([writing("held"), writing("learned", used=False, duplicate_of="held")], known)
    assert split_of(linked["held"]) == "test"
    assert split_of(linked["learned"]) is None
    apart = settle([writing("learned")], linked)
    assert split_of(apart["learned"]) is None, "its text was held out, and the link going away does not change that"


def test_a_copy_takes_the_place_of_its_original_which_then_goes() -> None:
    known = {"held": Place("held", 0.05, 0.05)}
    both = settle([writing("held"), writing("copy", used=False, duplicate_of="held")], known)
    alone = settle([writing("copy")], both)
    assert split_of(alone["copy"]) == "test"


def test_files_of_one_repository_share_a_split_and_a_large_one_is_learned_from() -> None:
    articles = [writing(f"a{number}") for number in range(40)]
    for name in (f"r{number}" for number in range(20)):
        files = [writing(f"{name}-{number}", category="code", repository=name, url=f"https://x/{name}/{number}.md")
                 for number in range(30)]  # fmt: skip
        places = settle([*articles, *files], {})
        assert {split_of(places[each.document_id]) for each in files} == {"train"}
        few = settle([*articles, *files[:3]], {})
        assert len({few[each.document_id].place for each in files[:3]}) == 1


def test_the_newest_are_the_test_where_time_decides_and_stay_it() -> None:
    first = [writing(f"n{number}", published_at=DAY + timedelta(days=number)) for number in range(50)]
    places = settle([*first, writing("undated", published_at=None)], {}, "time")
    tests = {key for key, place in places.items() if split_of(place) == "test"}
    assert tests == {f"n{number}" for number in range(42, 50)}
    later = [writing(f"n{number}", published_at=DAY + timedelta(days=number)) for number in range(50, 80)]
    grown = settle([*first, *later], places, "time")
    assert {key for key in tests if split_of(grown[key]) == "test"} == tests
    assert sum(split_of(place) == "train" for key, place in grown.items() if key not in places) > 20, "new ones teach"


def test_no_reranker_learns_from_what_an_adapter_is_tested_on() -> None:
    places = [Place(key, place, place) for key in ("d",) for place in (number / 100 for number in range(100))]
    parts = [part_of(place) for place in places]
    assert [parts.count(name) for name in ("test", "validation", "train")] == [25, 15, 60]
    assert {split_of(place) for place, part in zip(places, parts, strict=True) if part == "train"} == {"train"}
