import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin_resources.text.dates import parse_utc, utc_or_none
from twin_resources.text.urls import canonical_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTPS://User:pw@Example.COM:443/A/b?utm_source=x&id=7&fbclid=1#top", "https://example.com/A/b?id=7"),
        ("https://ada.substack.com/p/tides?r=1ttoeh", "https://ada.substack.com/p/tides"),
        ("https://example.com/?r=1", "https://example.com/?r=1"),
        ("https://medium.com/@ada/x-1?source=rss-1---2&sk=3", "https://medium.com/@ada/x-1"),
        ("https://blog.example/x?source=rss----8--1", "https://blog.example/x"),
        ("https://example.com", "https://example.com/"),
        ("http://example.com:8080/%D0%B5", "http://example.com:8080/%D0%B5"),
        ("folder:notes/a b#c", "folder:notes/a b#c"),
        ("https://www.linkedin.com/feed/update/urn%3Ali%3Ashare%3A1?trk=a&rcm=b",
         "https://www.linkedin.com/feed/update/urn%3Ali%3Ashare%3A1"),
    ],
)  # fmt: skip
def test_one_document_has_one_url(url, expected):
    assert canonical_url(url) == expected


@pytest.mark.parametrize("url", ["https://", "http://[x", "https://a b/c", "https://x:99999/"])
def test_what_cannot_be_opened_is_refused(url):
    with pytest.raises(ValueError):  # noqa: PT011 - the standard library's own words differ by version
        canonical_url(url)


@given(st.text(max_size=20), st.sampled_from(("https://x.example/", "https://x.substack.com/p?", "", "http://")))
def test_applying_it_twice_changes_nothing(text, prefix):
    try:
        once = canonical_url(prefix + text)
    except ValueError:
        return
    assert canonical_url(once) == once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-07-01 14:33:22", "2025-07-01T14:33:22+00:00"),
        ("2025-07-01 14:33:22 UTC", "2025-07-01T14:33:22+00:00"),
        ("2019-07-26T20:48:19.814Z", "2019-07-26T20:48:19.814000+00:00"),
        ("2024-05-06T07:08:09+02:00", "2024-05-06T05:08:09+00:00"),
        ("2024-05-06", "2024-05-06T00:00:00+00:00"),
        ("Mon, 06 May 2024 07:08:09 GMT", "2024-05-06T07:08:09+00:00"),
    ],
)
def test_dates_are_read_as_utc(text, expected):
    moment = parse_utc(text)
    assert moment is not None
    assert moment.isoformat() == expected


@pytest.mark.parametrize("text", ["next week", "2024-13-45", "0001-01-01T00:00:00+10:00", "٣", "Mon, 99 May 2024", "-"])
def test_what_is_no_date_is_refused(text):
    with pytest.raises(ValueError, match="not a date"):
        parse_utc(text)


@given(st.text(max_size=30))
def test_an_odd_date_is_none(text):
    assert utc_or_none(text) is None or utc_or_none(text) == parse_utc(text)
