import shutil
from datetime import UTC, datetime

import pytest

from twin_resources.errors import SourceError


def test_every_row_and_page_is_accounted_for(data, harvest):
    found = harvest(data / "substack")
    assert found.skipped == {"podcast": 1, "thread": 1, "page": 1, "draft": 1, "empty": 1}
    assert found.quarantined == {
        "posts.csv row 7 (207.lost)": "posts/207.lost.html is missing",
        "posts.csv row 10": "post_id is empty",
        "posts.csv row 11": "line 12: 2 columns instead of 9",
        "posts/999.orphan.html": "no readable row in posts.csv names it",
    }
    assert list(found.by_url) == ["substack:on-rain", "substack:long-talk", "substack:odd-date"]


def test_a_newsletter_has_its_metadata_and_its_page_as_it_is(data, harvest):
    rain = harvest(data / "substack", "substack_export", host="https://Ada.substack.com/").by_url[
        "https://ada.substack.com/p/on-rain"
    ]
    assert rain.title == "On rain & “roofs”"
    assert rain.body == "<p>Rain asks the roof a question.</p>"
    assert rain.published_at == datetime(2023, 4, 5, 6, 7, 8, 900000, tzinfo=UTC)
    assert rain.extra == {
        "type": "newsletter", "post_id": "201.on-rain", "subtitle": "Wet", "audience": "only_paid",
    }  # fmt: skip


def test_an_odd_date_does_not_cost_the_text(data, harvest):
    odd = harvest(data / "substack").by_url["substack:odd-date"]
    assert odd.published_at is None
    assert odd.extra["unread_date"] == "yesterday"


def test_a_zip_reads_as_the_folder_does(data, tmp_path, harvest):
    path = shutil.make_archive(str(tmp_path / "export"), "zip", data / "substack")
    assert harvest(path).items == harvest(data / "substack").items


def test_a_host_that_is_none_is_refused(data, harvest):
    with pytest.raises(SourceError, match=r"me\.substack\.com"):
        harvest(data / "substack", "substack_export", host="my newsletter")


def test_handmade_export_with_the_host_of_its_subscribe_buttons(real_data, harvest):
    found = harvest(real_data / "substack" / "export-handmade")
    assert list(found.by_url) == ["https://example.substack.com/p/plain-text"]
    assert found.documents[0].extra["subtitle"] == "“This quote’s rather short”"
    assert found.skipped == {"podcast": 1, "thread": 1, "draft": 1, "page": 1}
    assert not found.quarantined
