from datetime import UTC, datetime

import pytest

from twin_resources.errors import SourceError


def test_every_file_of_the_folder_is_accounted_for(data, harvest):
    found = harvest(data / "folder")
    assert found.skipped == {
        "hidden": 1, "license": 1, "draft": 1, "empty": 1, "not_markdown": 1, "duplicate_url": 1,
    }  # fmt: skip
    assert set(found.quarantined) == {"ideas/broken.md", "ideas/latin1.md"}
    assert "line 2" in found.quarantined["ideas/broken.md"] or "line 3" in found.quarantined["ideas/broken.md"]
    assert len(found.documents) == 6
    assert len(found.items) == sum(1 for path in (data / "folder").rglob("*") if path.is_file())


def test_front_matter_gives_the_metadata_and_leaves_the_body_untouched(data, harvest):
    kettles = harvest(data / "folder").by_url["https://ada.example/kettles/"]
    assert kettles.title == "Why kettles whistle"
    assert kettles.byline == "Ada Example"
    assert kettles.published_at == datetime(2024, 3, 5, tzinfo=UTC)
    assert kettles.body == "\n# A heading that is not the title\n\nSteam leaves through two plates.\n"
    assert kettles.extra["tags"] == ["steam", "sound"]


def test_without_front_matter_title_and_url_come_from_the_file(data, harvest):
    found = harvest(data / "folder").by_url
    assert found["folder:folder/ideas/no-front-matter"].title == "Queues are promises"
    assert found["folder:folder/ideas/plain_note"].title == "plain note"
    assert found["folder:folder/ideas/plain_note"].media_type == "text/plain"
    assert found["folder:folder/ideas/utf16"].body == "Abend"
    assert found["folder:folder/ideas/thematic-break"].body.startswith("---\n\nA break")


def test_toml_front_matter_and_category(data, harvest):
    hugo = harvest(data / "folder").by_url["folder:folder/ideas/hugo"]
    assert (hugo.title, hugo.category, hugo.body) == ("From Hugo", "posts", "Hello.\n")
    assert hugo.published_at == datetime(2023, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_options(data, harvest):
    found = harvest(data / "folder", "folder", base_url="https://ada.example/n/", exclude=["ideas/*", "*.png"])
    assert list(found.by_url) == ["https://ada.example/kettles/"]
    assert found.skipped["excluded"] == 10
    found = harvest(data / "folder" / "ideas" / "hugo.md", "folder", base_url="https://ada.example/n")
    assert list(found.by_url) == ["https://ada.example/n/hugo"]
    with pytest.raises(SourceError, match="category is articles or posts"):
        harvest(data / "folder", "folder", category="code")


def test_large_files_and_links_out_of_the_folder_are_not_read(tmp_path, harvest):
    (tmp_path / "secret.md").write_text("Not mine to share.")
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "link.md").symlink_to(tmp_path / "secret.md")
    (notes / "large.md").write_text("x" * (2 * 1024**2 + 1))
    found = harvest(notes, "folder")
    assert found.skipped == {"too_large": 1}
    assert found.quarantined == {"link.md": "a link that leads out of the folder"}


def test_real_notes(real_data, harvest):
    found = harvest(real_data / "authors" / "til")
    assert len(found.documents) == 578
    assert found.skipped == {"license": 1}
    assert not found.quarantined
    assert all(document.title and document.category == "articles" for document in found.documents)
