import zipfile

import pytest

from twin_resources.errors import SourceError
from twin_resources.readers.archives import Archive, Unreadable, decode, matches


def zipped(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["../evil.html", "/etc/evil", "a/../../evil", "..\\evil", "C:/evil"])
def test_a_zip_with_an_unsafe_name_is_refused(tmp_path, name):
    with pytest.raises(SourceError, match="unsafe name"):
        Archive(zipped(tmp_path / "a.zip", {"posts/a.html": "x", name: "x"}))


def test_a_zip_bomb_is_refused(tmp_path):
    with pytest.raises(SourceError, match="200 to 1"):
        Archive(zipped(tmp_path / "a.zip", {"posts/a.html": b"\0" * 5_000_000}))


def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("twin_resources.readers.archives.MAX_TOTAL_BYTES", 1000)
    with pytest.raises(SourceError, match="2 GB"):
        Archive(zipped(tmp_path / "a.zip", {"a": "x" * 600, "b": "y" * 600}, zipfile.ZIP_STORED))


def test_a_cut_off_zip_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a": "x" * 600})
    path.write_bytes(path.read_bytes()[:80])
    with pytest.raises(SourceError, match="download the export again"):
        Archive(path)


def test_folder_and_zip_list_and_read_alike(tmp_path):
    folder = tmp_path / "export"
    for name in ("top/posts/b.html", "top/posts/a.html", "top/.DS_Store"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    path = zipped(tmp_path / "a.zip", {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.*")})
    for location in (folder, path):
        with Archive(location) as archive:
            assert archive.names() == ["top/posts/a.html", "top/posts/b.html"]
            assert archive.matching("posts/*.html") == archive.names()
            assert archive.hidden() == ["top/.DS_Store"]
            assert archive.read_text("top/posts/a.html") == "top/posts/a.html"
            assert archive.size("top/posts/a.html") == 16


@pytest.mark.parametrize("content", [b"caf\xe9", b"a\0b", b"\xff\xfea", b"\xff\xfe\x00\xd8"])
def test_what_is_no_text_is_said_to_be_none(content):
    with pytest.raises(Unreadable):
        decode(content)


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("a/drafts/x.md", "drafts", True), ("a/x.tmp", "*.tmp", True), ("a/b/x.md", "a/*", True),
        ("b/x.md", "a/*", False), ("src/x.py", "src/", True), ("a/src/x.py", "src/x.py", False),
    ],
)  # fmt: skip
def test_patterns(name, pattern, expected):
    assert matches(name, [pattern]) is expected
