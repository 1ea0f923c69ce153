"""What the author says of themselves on a platform is a post like any other: new, unchanged, changed, gone."""

from __future__ import annotations

import pytest
from starlette.responses import PlainTextResponse

from twin_assets_tests.support.crawler import Crawler

LETTERS = {"substack": "ada.substack.com"}
MEMBER = {"linkedin": "me", "snapshot_days": 0}


def test_the_bio_on_substack(crawl: Crawler) -> None:
    crawl.replica.byline = {"handle": "adaberg", "bio": "Keeper of gauges."}
    crawl.replica.extra["substack.com", "/@adaberg"] = PlainTextResponse("there")
    whole = crawl(LETTERS).new
    assert crawl.live()["https://substack.com/@adaberg"] == "Keeper of gauges."
    assert crawl(LETTERS).unchanged == whole
    crawl.replica.byline["bio"] = "Keeper of many gauges."
    assert crawl(LETTERS).changed == 1
    crawl.replica.byline["bio"] = ""
    assert (crawl(LETTERS).absent, crawl(LETTERS).gone) == (1, 1)
    for story in crawl.replica.substack:
        story.author = "Somebody Else"
    crawl.replica.byline["bio"] = "Somebody else's words."
    crawl(LETTERS)
    assert "Somebody else's words." not in crawl.live().values()


def test_the_profile_by_linkedins_interface(crawl: Crawler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_LINKEDIN_TOKEN", "the-token")
    crawl.replica.profile = [{"First Name": "Ada", "Headline": "Keeper of gauges.", "Birth Date": "Dec 31"}]
    crawl.replica.shares = [
        {"Date": "2026-01-01 08:00:00", "ShareLink": "https://x.example/1", "ShareCommentary": "Tide"}
    ]
    assert crawl(MEMBER).new == 2
    assert crawl.live()["linkedin:profile"] == "Keeper of gauges."
    crawl.replica.profile[0]["Summary"] = "Bread at night."
    assert crawl(MEMBER).changed == 1
    assert crawl.live()["linkedin:profile"] == "Keeper of gauges.\n\nBread at night."
    crawl.replica.profile.clear()
    assert (crawl(MEMBER).absent, crawl(MEMBER).gone) == (1, 1)
