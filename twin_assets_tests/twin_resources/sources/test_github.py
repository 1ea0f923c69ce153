import os
import shutil
import subprocess
from datetime import UTC, datetime

import pytest

from twin_resources.errors import SourceError


def git(folder, *arguments):
    subprocess.run(
        ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-C", str(folder), *arguments],
        check=True, capture_output=True, env={**os.environ, "GIT_COMMITTER_DATE": "2024-05-06T07:08:09Z"},
    )  # fmt: skip


@pytest.fixture
def work_tree(data, tmp_path):
    folder = tmp_path / "clockwork"
    shutil.copytree(data / "github" / "clockwork", folder)
    (folder / ".gitignore").write_text(".env\nprivate.py\n")
    (folder / "private.py").write_text("SECRET = 1\n")
    (folder / "naïve name.py").write_text("X = 1\n")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--force", "node_modules")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=first")
    return folder


def test_a_plain_folder_yields_code_and_documentation(data, harvest):
    found = harvest(data / "github" / "clockwork", "github")
    assert list(found.by_url) == [
        f"repository:clockwork/{path}"
        for path in ("Makefile", "README.md", "docs/guide.rst", "notebooks/tour.ipynb", "src/check.py", "src/tick.py")
    ]
    assert found.skipped == {
        "hidden": 1, "license": 1, "not_code": 1, "vendored": 1, "generated": 4, "empty": 1, "binary": 1,
    }  # fmt: skip
    assert list(found.quarantined) == ["notebooks/broken.ipynb"]
    assert {document.category for document in found.documents} == {"code"}


def test_code_is_untouched_and_knows_where_it_is(data, harvest):
    found = harvest(data / "github" / "clockwork", "github", url="https://github.com/ada/clockwork.git")
    tick = found.by_url["https://github.com/ada/clockwork/blob/HEAD/src/tick.py"]
    assert tick.body == "def tick(n: int) -> int:\n    return n + 1\n"
    assert tick.media_type == "text/x-code"
    assert tick.extra == {"path": "src/tick.py", "language": "python", "repository": "clockwork"}
    readme = found.by_url["https://github.com/ada/clockwork/blob/HEAD/README.md"]
    assert (readme.media_type, readme.title) == ("text/markdown", "Clockwork")


def test_a_notebook_keeps_its_sources_and_leaves_its_outputs(data, harvest):
    tour = harvest(data / "github" / "clockwork", "github").by_url["repository:clockwork/notebooks/tour.ipynb"]
    assert tour.body == "# Tour\nLook.\n\n```python\nprint('tick')\n```\n\n````python\ns = '''\n```\n'''\n````\n"
    assert tour.media_type == "text/markdown"


def test_a_work_tree_yields_tracked_files_with_their_dates(work_tree, harvest):
    found = harvest(work_tree)
    assert not any("private" in url or ".env" in url for url in found.by_url)
    assert {document.published_at for document in found.documents} == {datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)}
    assert "repository:clockwork/naïve name.py" in found.by_url
    git(work_tree, "remote", "add", "origin", "https://token:x@github.com/ada/clockwork.git")
    assert "https://github.com/ada/clockwork/blob/HEAD/na%C3%AFve%20name.py" in harvest(work_tree).by_url


def test_a_file_url_is_cloned(work_tree, harvest):
    found = harvest(work_tree.as_uri(), "github")
    assert "repository:clockwork/src/tick.py" in found.by_url
    # A shallow clone has one commit; its date is no file's date.
    assert {document.published_at for document in found.documents} == {None}


def test_options_bound_what_is_read(data, harvest):
    folder = data / "github" / "clockwork"
    assert list(harvest(folder, "github", include="src", exclude=["check.py"]).by_url) == [
        "repository:clockwork/src/tick.py"
    ]
    found = harvest(folder, "github", max_files=2)
    assert (len(found.documents), found.skipped["too_many"] > 0) == (2, True)
    with pytest.raises(SourceError, match="max_file_kb"):
        harvest(folder, "github", max_file_kb=0)


@pytest.mark.parametrize(
    "location", ["--upload-pack=touch x", "ext::sh -c 'touch x'", "http://example.org/x.git", "git://x/y", "nobody"]
)
def test_other_transports_and_arguments_are_refused(location, harvest):
    with pytest.raises(SourceError, match="https, ssh, git@ or file"):
        harvest(location, "github")


def test_a_repository_that_is_not_there_says_so(tmp_path, harvest):
    with pytest.raises(SourceError, match="git clone failed"):
        harvest((tmp_path / "absent").as_uri(), "github")
