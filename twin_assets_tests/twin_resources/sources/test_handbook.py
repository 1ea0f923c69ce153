from collections import Counter

import pytest

from twin_resources.errors import SourceError


def test_only_this_authors_entries_become_documents(data, harvest):
    found = harvest(data / "handbook")
    assert found.skipped == {"other_author": 1, "duplicate_url": 1, "empty": 1, "repository": 1}
    assert {item.rpartition(" ")[2] for item in found.quarantined} == {"6", "7", "9", "10", "11"}
    assert list(found.by_url) == [
        "https://ada.substack.com/p/tides",
        "https://medium.com/@ada/locks-0a1b2c3d4e5f",
        "https://ada.example/own",
        "https://www.linkedin.com/posts/ada_1",
    ]
    assert [document.platform for document in found.documents] == ["substack", "medium", "web", "linkedin"]


def test_content_is_read_as_a_dictionary_or_its_python_source_but_never_run(data, harvest):
    found = harvest(data / "handbook")
    assert found.by_url["https://medium.com/@ada/locks-0a1b2c3d4e5f"].body == '# Locks\n\nIt\'s "both" quotes.'
    tides = found.by_url["https://ada.substack.com/p/tides"]
    assert (tides.title, tides.media_type) == ("Tides", "text/markdown")
    assert tides.extra == {"subtitle": "Twice a day", "language": "en"}
    assert tides.also == ("https://ada.substack.com/p/tides?r=1abc",)
    assert "not a Python dictionary" in found.quarantined["ArticleDocument.json entry 6"]


def test_a_post_has_no_title(data, harvest):
    post = harvest(data / "handbook").by_url["https://www.linkedin.com/posts/ada_1"]
    assert (post.category, post.title, post.body) == ("posts", None, "A short post.")


def test_something_else_is_refused(tmp_path, harvest):
    with pytest.raises(SourceError, match=r"ArticleDocument\.json"):
        harvest(tmp_path, "handbook")
    (tmp_path / "ArticleDocument.json").write_text("{")
    assert "not JSON" in harvest(tmp_path, "handbook").quarantined["ArticleDocument.json"]


@pytest.mark.parametrize(
    ("author", "platforms"),
    [("Paul Iusztin", {"substack": 45, "medium": 5}), ("Maxime Labonne", {"substack": 24, "web": 2})],
)
def test_real_dump_splits_by_author(real_data, harvest, author, platforms):
    found = harvest(real_data / "handbook", author=author)
    assert Counter(document.platform for document in found.documents) == platforms
    assert found.skipped == {"other_author": 76 - sum(platforms.values())}
    assert not found.quarantined
    assert all(document.title and document.body.strip() for document in found.documents)
    assert not any("?" in document.url for document in found.documents)
