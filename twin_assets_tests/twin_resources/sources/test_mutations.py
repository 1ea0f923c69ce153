"""Exports and pages damaged on the way: a reader may refuse them, and never crashes or loses an entry."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin_resources.errors import SourceError
from twin_resources.readers.page import PageError, read_page
from twin_resources.sources.base import Author, Item
from twin_resources.sources.registry import registry

DATA = Path(__file__).parents[2] / "data"
FIXTURES = {
    "folder": "folder",
    "github": "github/clockwork",
    "handbook": "handbook",
    "jsonl": "jsonl",
    "linkedin_export": "linkedin",
    "medium_export": "medium/medium-export",
    "substack_export": "substack",
}
JUNK = st.sampled_from(
    [
        b"", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b'"', b'"\n"', b"\n", b"\r", b"<", b"</", b"<!--", b"]]>", b"<html>",
        b"{", b"[" * 50, b"}", b"\\", b"\\u0000", b"\\ud800", b"---\n", b"&#0;", b"&#xD800;", b",,,,", b"<div>" * 300,
        b"</script>", "𝗪é".encode(), b"<?xml version='1.0' encoding='utf-16'?>", b"null", b"1e999", b"<table><p>",
        b"<pre", b" ",
    ]
) | st.binary(max_size=12)  # fmt: skip
DAMAGE = st.lists(
    st.tuples(st.sampled_from(["insert", "cut", "replace", "repeat", "end"]), st.floats(0, 1), st.floats(0, 0.3), JUNK),
    min_size=1,
    max_size=4,
)


def damaged(content: bytes, damage: list[tuple[str, float, float, bytes]]) -> bytes:
    for kind, where, length, junk in damage:
        start = int(where * len(content))
        end = min(len(content), start + int(length * len(content)) + 1)
        if kind == "insert":
            content = content[:start] + junk + content[start:]
        elif kind == "cut":
            content = content[:start] + content[end:]
        elif kind == "replace":
            content = content[:start] + junk + content[start + max(1, len(junk)) :]
        elif kind == "repeat":
            content = content[:end] + content[start:end] + content[end:]
        else:
            content = content[:start]
    return content


def read(kind: str, folder: Path) -> list[Item]:
    return list(registry()[kind](str(folder), Author("ada", "Ada Example")).read())


def entries(kind: str, folder: Path, touched: Path, before: int) -> int | None:
    """How many items the location has to give, counted without its reader; None where the damage leaves that open."""
    text = touched.read_bytes().decode("utf-8", errors="surrogateescape")
    if touched.suffix == ".csv" and kind in ("linkedin_export", "substack_export"):
        return None
    if touched.suffix == ".json" and kind == "handbook":
        return None
    if kind == "jsonl":
        return None if "\ufeff" in text or "\udcff" in text else sum(bool(line.strip()) for line in text.split("\n"))
    return before


@pytest.mark.parametrize("kind", sorted(FIXTURES))
def test_a_damaged_export_loses_no_entry(kind: str) -> None:
    source = DATA / FIXTURES[kind]
    files = sorted(path for path in source.rglob("*") if path.is_file() and path.suffix != ".png")
    before = len(read(kind, source))

    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(which=st.integers(0, len(files) - 1), damage=DAMAGE)
    def check(which: int, damage: list[tuple[str, float, float, bytes]]) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name, "export")
            shutil.copytree(source, folder)
            touched = folder / files[which].relative_to(source)
            touched.chmod(0o644)
            touched.write_bytes(damaged(touched.read_bytes(), damage))
            try:
                items = read(kind, folder)
            except SourceError:
                return
            assert items or not touched.read_bytes().strip(), "what can be opened says what is in it"
            json.dumps([{key: str(value) for key, value in vars(item).items()} for item in items]).encode()
            expected = entries(kind, folder, touched, before)
            if expected is not None:
                assert len(items) == expected

    check()


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(row=st.integers(1, 5), junk=st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=30))
def test_one_odd_row_leaves_the_others_alone(row: int, junk: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "export")
        shutil.copytree(DATA / "linkedin", folder)
        path = folder / "Shares.csv"
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
        whole = {item.url for item in read("linkedin_export", folder) if hasattr(item, "url")}
        written = io.StringIO(newline="")
        at = min(row, len(rows) - 1)
        csv.writer(written).writerows([*rows[:at], [junk], *rows[at:]])
        path.chmod(0o644)
        path.write_text(written.getvalue(), encoding="utf-8", newline="")
        found = read("linkedin_export", folder)
        assert whole <= {item.url for item in found if hasattr(item, "url")}


PAGES = sorted(DATA.glob("pages/*/page.html"))


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(which=st.integers(0, len(PAGES) - 1), damage=DAMAGE)
def test_a_damaged_page_gives_an_article_or_a_reason(which: int, damage: list[tuple[str, float, float, bytes]]) -> None:
    sound(damaged(PAGES[which].read_bytes(), damage))


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.binary(max_size=300) | st.lists(JUNK, max_size=30).map(b"".join))
def test_any_bytes_give_an_article_or_a_reason(content: bytes) -> None:
    sound(content)


def test_damaged_real_pages_give_an_article_or_a_reason(real_data: Path) -> None:
    pages = sorted(real_data.glob("*/pages/*/source.html"))[::3]

    @settings(max_examples=30, deadline=None, derandomize=True, database=None)
    @given(which=st.integers(0, len(pages) - 1), damage=DAMAGE)
    def check(which: int, damage: list[tuple[str, float, float, bytes]]) -> None:
        sound(damaged(pages[which].read_bytes(), damage))

    check()


def sound(content: bytes) -> None:
    html = content.decode("utf-8", errors="replace")
    try:
        page = read_page(html, "https://me.example/a")
    except PageError as problem:
        explained = problem.reason and problem.remedy
        assert explained
        return
    assert page.body.strip()
    json.dumps({"body": page.body, "title": page.title, "byline": page.byline, **page.extra}).encode()
