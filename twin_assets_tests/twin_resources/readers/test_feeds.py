"""Feeds and sitemaps of strangers: read as far as they go, and never believed."""

from __future__ import annotations

import contextlib
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin_resources.readers.feeds import FeedError, read_feed, read_sitemap

RSS = """<?xml version="1.0"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>
<item><title>Low water</title><link>https://ada.example/low</link><pubDate>Fri, 02 Jan 2026 08:00:00 GMT</pubDate>
<content:encoded><![CDATA[<p>Low water is at six.</p>]]></content:encoded></item></channel></rss>"""
BILLION_LAUGHS = """<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><rss><channel><item><link>https://x.example</link><title>&c;</title></item>
</channel></rss>"""
EXTERNAL = """<?xml version="1.0"?><!DOCTYPE urlset [<!ENTITY secret SYSTEM "file:///etc/passwd">]>
<urlset><url><loc>https://ada.example/&secret;</loc></url></urlset>"""


def test_authors_and_dates_of_an_atom_feed(data: Path) -> None:
    entries = read_feed((data / "feeds" / "two-authors.xml").read_bytes())
    assert [entry.byline for entry in entries] == ["Ada Berg", "ada berg", "Bo Lind"]
    assert entries[0].published_at is not None
    assert entries[0].published_at.isoformat() == "2026-01-02T07:00:00+00:00"
    assert entries[1].html == "<p>High water is at noon &amp; the quay is wet.</p>"


def test_prose_before_the_xml_does_not_cost_the_feed() -> None:
    saved = f"This XML file does not appear to have any style information associated with it.\n{RSS}"
    (entry,) = read_feed(saved.encode())
    assert (entry.title, entry.html) == ("Low water", "<p>Low water is at six.</p>")


def test_a_feed_that_was_cut_off_gives_what_is_there() -> None:
    second = RSS.replace("</channel></rss>", "<item><title>Cut</title><link>https://ada.example/cut</link><content:enc")
    assert read_feed(second.encode())[0].title == "Low water"


def test_a_json_feed() -> None:
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "items": [
            {"id": "1", "url": "https://ada.example/1", "title": "One", "content_html": "<p>One</p>",
             "authors": [{"name": "Ada Berg"}], "date_published": "2026-01-02T08:00:00Z"},
            {"id": "https://ada.example/2", "content_text": "Two"},
            "no entry",
        ],
    }  # fmt: skip
    entries = read_feed(json.dumps(feed).encode())
    assert [(entry.url, entry.byline, entry.html) for entry in entries] == [
        ("https://ada.example/1", "Ada Berg", "<p>One</p>"),
        ("https://ada.example/2", None, "Two"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("text", [BILLION_LAUGHS, EXTERNAL])
def test_entities_are_refused(text: str, encoding: str) -> None:
    content = text.replace("?>", f' encoding="{encoding}"?>', 1).encode(encoding)
    for read in (read_feed, read_sitemap):
        with pytest.raises(FeedError, match="declares entities"):
            read(content)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"<html><p>Log in</p></html>", b"\x00\xff", b"{" * 100_000])
def test_what_is_no_feed_is_said(content: bytes) -> None:
    with pytest.raises(FeedError):
        read_feed(content)
    with pytest.raises(FeedError):
        read_sitemap(content)


def test_a_packed_sitemap_and_one_that_is_a_bomb() -> None:
    plain = b"<urlset><url><loc> https://ada.example/1 </loc><lastmod>2026-01-02</lastmod></url><url/></urlset>"
    pages, more = read_sitemap(gzip.compress(plain))
    assert ([(page.url, page.lastmod) for page in pages], more) == ([("https://ada.example/1", "2026-01-02")], [])
    with pytest.raises(FeedError, match="larger than"):
        read_sitemap(gzip.compress(b" " * (51 * 1024**2)))
    with pytest.raises(FeedError, match="damaged"):
        read_sitemap(gzip.compress(plain)[:-9])


def test_real_feeds(real_data: Path) -> None:
    medium = read_feed((real_data / "medium" / "feed-malformed.xml").read_bytes())
    assert len(medium) == 7
    assert {entry.byline for entry in medium} == {"Gabriel Ávila"}
    assert all(len(entry.html) > 500 and entry.published_at for entry in medium)
    substack = read_feed((real_data / "substack" / "feed.xml").read_bytes())
    names = [entry.byline for entry in substack]
    assert (len(names), names.count("Nathan Lambert"), names.count("Florian Brand")) == (20, 17, 3)
    assert all(entry.html and entry.published_at for entry in substack)


PIECES = st.sampled_from([
    "<?xml version='1.0'?>", "<rss version='2.0'>", "<feed xmlns='http://www.w3.org/2005/Atom'>", "<channel>",
    "<item>", "<entry>", "<link>", "https://ada.example/", "</link>", "<link href='x'/>", "<title>", "<![CDATA[",
    "]]>", "&amp;", "&x;", "<pubDate>", "Fri, 99 Foo 2026", "<updated>2026-13-45", "</item>", "</rss>", "<urlset>",
    "<url><loc>", "</loc>", "</url></urlset>", "<sitemapindex>", "\x00", "\ud7ff", "{", '{"url": 5}', "]}",
    '{"version": "https://jsonfeed.org/version/1", "items": [', '{"id": "http://x", "authors": [1, {"name": null}]}',
    "<!DOCTYPE rss [", "<!ENTITY a 'b'>", "]>",
])  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join), st.sampled_from(["utf-8", "utf-16", "latin-1"]))
def test_no_content_makes_a_feed_or_sitemap_crash(text: str, encoding: str) -> None:
    content = text.encode(encoding, "replace")
    for read in (read_feed, read_sitemap):
        with contextlib.suppress(FeedError):
            read(content)
