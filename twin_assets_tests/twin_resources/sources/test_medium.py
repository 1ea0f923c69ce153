import shutil
from datetime import UTC, datetime

import pytest

from twin_resources.errors import SourceError

BREAD = "https://medium.com/@ada/bread-rises-0123456789ab"


@pytest.fixture(params=["folder", "nested folder", "zip"])
def export(request, data, tmp_path):
    """The same export as people have it: unpacked, unpacked into a folder of its own, and as downloaded."""
    if request.param == "folder":
        return data / "medium" / "medium-export"
    if request.param == "nested folder":
        return data / "medium"
    return shutil.make_archive(str(tmp_path / "medium"), "zip", data / "medium")


def test_every_file_of_posts_is_accounted_for(export, harvest):
    found = harvest(export)
    assert found.skipped == {"draft": 2, "comment": 2, "duplicate_url": 1, "empty": 1}
    assert {name.rpartition("/")[2] for name in found.quarantined} == {
        "2024-02-11_broken.html", "2024-02-12_latin.html",
    }  # fmt: skip
    assert [document.title for document in found.documents] == ["Bread rises", "Short title", "No date", "Twice"]


def test_a_story_has_its_metadata_and_its_text_without_the_second_title(export, harvest):
    bread = harvest(export).by_url[BREAD]
    assert bread.published_at == datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert (bread.byline, bread.category, bread.media_type) == ("Ada Example", "articles", "text/html")
    assert bread.extra["subtitle"] == "On patience"
    assert bread.extra["tags"] == ["Baking", "Time"]
    assert bread.also == ("https://medium.com/p/0123456789ab",)
    assert "Yeast &amp; time." in bread.body
    assert "Bread" not in bread.body
    assert "Exported from" not in bread.body


def test_a_heading_that_says_more_than_the_title_is_kept_aside(export, harvest):
    short = harvest(export).by_url["https://medium.com/@ada/longer-aaaaaaaaaaaa"]
    assert (short.title, short.extra["heading"]) == ("Short title", "Short title (proposal)")


def test_a_missing_date_is_taken_from_the_file_name(export, harvest):
    no_date = harvest(export).by_url["https://medium.com/@ada/no-date-dddddddddddd"]
    assert no_date.published_at == datetime(2024, 2, 7, tzinfo=UTC)


def test_another_text_under_the_same_canonical_link_is_not_lost(export, harvest):
    twice = harvest(export).by_url["medium:2024-02-08_Twice-111111111111"]
    assert "Another text." in twice.body


def test_what_is_no_export_is_refused(tmp_path, harvest):
    with pytest.raises(SourceError, match="not a Medium export"):
        harvest(tmp_path, "medium_export")
    with pytest.raises(SourceError, match="no such file"):
        harvest(tmp_path / "absent.zip", "medium_export")


def test_real_export(real_data, harvest):
    found = harvest(real_data / "medium" / "export")
    # Fifteen published pages, of which "Correct Dyson" is a two-word response.
    assert len(found.documents) == 14
    assert found.skipped == {"draft": 3, "comment": 1}
    assert not found.quarantined
    for document in found.documents:
        assert document.published_at is not None
        assert document.url.startswith("https://medium.com/@hashdag/")
        assert document.byline == "Yonatan Sompolinsky"
        assert "graf--title" not in document.body


def test_handmade_export(real_data, harvest):
    found = harvest(real_data / "medium" / "export-handmade")
    assert {document.title for document in found.documents} == {
        "Advanced Post Title", "Basic Post Title", "Code Post Title", "No Date Post", "No Slug Post",
        "Quote Post Title", "Short Post Title",
    }  # fmt: skip
    assert found.skipped == {"draft": 1, "comment": 1, "empty_profile": 1}
    dates = {document.title: document.published_at for document in found.documents}
    assert dates["No Date Post"] is None
    assert dates["No Slug Post"] == datetime(2018, 8, 11, 11, 23, 34, 123000, tzinfo=UTC)


@pytest.mark.parametrize(
    "bio", ['<p class="p-note">I bake &amp; wait.</p>', "<ul><li><b>Bio:</b> I bake &amp; wait.</li></ul>"]
)
def test_the_bio_of_the_profile_is_a_post_without_accounts_and_addresses(bio, data, tmp_path, harvest):
    export = shutil.copytree(data / "medium" / "medium-export", tmp_path / "export")
    card = (
        '<section class="h-card"><h3 class="p-name">Ada Example</h3>{}<ul><li><b>Profile:</b> '
        '<a class="u-url" href="https://medium.com/@ada">@ada</a></li>'
        "<li><b>Email address:</b> ada@mail.example</li></ul></section>"
    )
    (export / "profile").mkdir()
    (export / "profile" / "profile.html").write_text(card.format(bio))
    found = harvest(export)
    profile = found.by_url["https://medium.com/@ada"]
    assert (profile.body, profile.category, profile.extra) == ("I bake & wait.", "posts", {"profile": True})
    without = harvest(data / "medium" / "medium-export").items
    assert tuple(item for item in found.items if item is not profile) == without
    (export / "profile" / "profile.html").write_text(card.format(""))
    assert harvest(export).skipped["empty_profile"] == 1
