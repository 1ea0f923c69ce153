"""Whatever a file holds, a reader ends with items or a SourceError, and says the same thing twice."""

from __future__ import annotations

import csv
import io
import json
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twin_resources.errors import SourceError
from twin_resources.sources.base import Author
from twin_resources.sources.registry import detect, registry

FILES = {
    "folder": ("note.md", "note.txt"),
    "jsonl": ("documents.jsonl",),
    "handbook": ("ArticleDocument.json", "PostDocument.json"),
    "medium_export": ("posts/2024-01-01_a-abcdef.html", "posts/b.html"),
    "substack_export": ("posts.csv", "posts/1.a.html"),
    "linkedin_export": ("Shares.csv", "Comments.csv", "Articles/Articles/a.html"),
    "github": ("a.py", "README.md", "b.ipynb"),
}
SCRAPS = (
    "---\n", "+++\n", "title: ", "!!int ", "&a [*a]", "date: 2024-13-45\n", "<section data-field='body'>", "<!--",
    "&#0;", "&#xD800;", "<?xml version='1.0' encoding='x'?>", "<footer>", "<a class='p-canonical' href='http://[x'>",
    "</p>", "\0", "Date,ShareLink,ShareCommentary\n", "post_id,type,is_published\n", "1.a,newsletter,true\n", '"',
    '"\n"', "\\", ",", '{"url": "a:b", "text": "x"}\n', '{"cells": [', "]}", "[[[[", "{'Content': 'x'}", "\ufeff",
    "\r", "\n", "é", "𝗪", "x",
)  # fmt: skip
NAMES = ("post_id", "type", "Date", "ShareLink", "ShareCommentary", "Link", "Message", "is_published")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("Ada Example"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ("url", "text", "html", "also", "extra", "platform", "category", "published_at", "title", "link", "content",
         "Content", "author_full_name", "cells", "cell_type", "source", "metadata", "kernelspec", "language")
    ), inner, max_size=6),
    max_leaves=12,
)  # fmt: skip


def as_csv(rows: list[list[str]]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue().encode("utf-8", errors="replace")


CONTENTS = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from(SCRAPS), max_size=12).map(lambda scraps: "".join(scraps).encode()),
    st.lists(st.lists(st.sampled_from(NAMES) | st.text(max_size=6), min_size=1, max_size=6), max_size=5).map(as_csv),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.lists(JSON, max_size=3).map(lambda values: "\n".join(json.dumps(value) for value in values).encode()),
)


@pytest.mark.parametrize("kind", sorted(FILES))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.lists(CONTENTS, min_size=3, max_size=3))
def test_no_content_makes_a_reader_crash(kind, contents):
    with tempfile.TemporaryDirectory() as folder:
        for name, content in zip(FILES[kind], contents, strict=False):
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

        def read():
            return list(registry()[kind](folder, Author("ada", "Ada Example")).read())

        try:
            items = read()
        except SourceError:
            return
        assert items == read()
        for item in items:
            json.dumps({key: str(value) for key, value in vars(item).items()}, ensure_ascii=False).encode("utf-8")
            assert "\0" not in "".join(str(value) for value in vars(item).values())


@given(content=st.binary(max_size=300))
def test_no_content_of_a_zip_makes_detection_crash(content):
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (("a.zip", content), ("b.zip", b"PK\x03\x04" + content), ("c.dat", content)):
            path = Path(folder, name)
            path.write_bytes(data)
            with pytest.raises(SourceError):
                detect(path)


@given(cut=st.integers(min_value=1, max_value=2000), flip=st.integers(min_value=0, max_value=2000))
@settings(max_examples=60, deadline=None)
def test_a_damaged_zip_is_quarantined_or_refused(cut, flip):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "export.zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(5):
                archive.writestr(f"posts/{number}.html", f"<section data-field='body'>{number} {'word ' * number}")
        content = bytearray(path.read_bytes())
        content[flip % len(content)] ^= 0x55
        path.write_bytes(content[: max(1, len(content) - cut % 3)])
        try:
            items = list(registry()["medium_export"](str(path), Author("ada", "Ada Example")).read())
        except SourceError:
            return
        assert items


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("folder", "folder"), ("jsonl/documents.jsonl", "jsonl"), ("handbook", "handbook"), ("medium", "medium_export"),
        ("substack", "substack_export"), ("linkedin", "linkedin_export"),
    ],
)  # fmt: skip
def test_each_platform_recognises_its_own_and_no_other(data, location, kind):
    path = data / location
    assert detect(path).kind == kind
    claims = [cls.kind for cls in registry().values() if cls.recognises(path)]
    assert claims == [kind]


def test_every_source_reports_a_missing_location(tmp_path):
    for cls in (registry()[kind] for kind in FILES):
        with pytest.raises(SourceError, match="no such"):
            list(cls(str(tmp_path / "absent"), Author("ada", "Ada Example")).read())
