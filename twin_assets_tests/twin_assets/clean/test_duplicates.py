"""The same text twice."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

from twin_assets.clean.clean import clean
from twin_assets.clean.duplicates import Duplicate, Outlines, Preference, find_duplicates
from twin_resources.sources.base import Author, RawDocument
from twin_resources.sources.handbook import Handbook

HULL = " ".join(f"The hull number {n} comes first and its paint comes last." for n in range(60))
MAST = " ".join(f"Mast {n} has stood for winters, and every knot of it is known." for n in range(60))
MORE = " ".join(f"Sentence {n} stands in this one alone, and in no other text." for n in range(20))


def duplicates(texts: dict[str, str], preference: list[str]) -> list[Duplicate]:
    named = {f"{place:04} {key[-20:]}": key for place, key in enumerate(preference)}
    with Outlines() as outlines:
        for name, key in named.items():
            outlines.add(name, texts[key], Preference())
        found = find_duplicates(outlines, lambda names: [(name, texts[named[name]]) for name in names])
        return [replace(pair, keep=named[pair.keep], drop=named[pair.drop]) for pair in found]


def test_repeats_are_found_and_the_preferred_one_is_kept() -> None:
    texts = {
        "a": HULL + MAST,
        "b": MAST + MORE,
        "c": "Something else entirely." * 5,
    }
    (found,) = duplicates(texts, ["a", "b", "c"])
    assert (found.keep, found.drop) == ("a", "b")
    assert 0.5 < found.containment < 1
    (other,) = duplicates(texts, ["c", "b", "a"])
    assert (other.keep, other.drop) == ("b", "a")


def test_short_texts_of_one_pattern_are_not_the_same() -> None:
    texts = {
        "fly": "Euxesta halterata is a species of ulidiid or picture-winged fly in the genus Euxesta of its family.",
        "other": "Myennis nigra is a species of ulidiid or picture-winged fly in the genus Myennis of its family.",
        "again": "Euxesta halterata is a species of ulidiid or picture-winged fly in the genus Euxesta of its family!",
    }
    assert [(pair.keep, pair.drop) for pair in duplicates(texts, list(texts))] == [("fly", "again")]


def test_unrelated_and_empty_texts_are_left_alone() -> None:
    assert duplicates({"a": HULL, "b": MAST, "c": "", "d": ""}, ["a", "b", "c", "d"]) == []


def test_cross_posts_of_the_handbook_authors_are_joined_and_nothing_else_is(real_data) -> None:
    path = str(real_data / "handbook" / "ArticleDocument.json")
    joined = {}
    for name in ("Paul Iusztin", "Maxime Labonne"):
        items = [item for item in Handbook(path, Author("x", name)).read() if isinstance(item, RawDocument)]
        texts = {item.url: clean(item.body, item.media_type, title=item.title).text for item in items}
        joined[name] = duplicates(texts, list(texts))
    assert len(joined["Paul Iusztin"]) == 5
    assert joined["Maxime Labonne"] == []
    for pair in joined["Paul Iusztin"]:
        assert {"medium.com" in pair.keep, "medium.com" in pair.drop} == {True, False}


def test_a_crowd_is_searched_without_comparing_every_pair_and_always_alike() -> None:
    texts = {f"t{n}": " ".join(f"word{n}x{i}" for i in range(150)) for n in range(60)}
    texts["inside"] = " ".join(texts["t7"].split()[40:110])
    texts["again"] = texts["t9"].upper() + " and a word"
    found = duplicates(texts, list(texts))
    assert {(pair.keep, pair.drop) for pair in found} == {("t7", "inside"), ("t9", "again")}
    assert all(pair.containment == 1 for pair in found)
    assert duplicates(texts, list(texts)) == found


def test_shingles_are_the_same_in_every_process() -> None:
    code = "from twin_resources.text.words import grams; print(sum(grams('one two three four five six')))"
    sums = {
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True,
                       text=True, check=True).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(sums) == 1
