"""Whole crawls of the replica into a real warehouse: what is fetched, what is stored, and what is not."""

from __future__ import annotations

import json
import socket
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from twin_assets_tests.support.crawler import Crawler
from twin_assets_tests.support.forgetting import forget
from twin_assets_tests.support.replica import START, WORDS, Replica, Repository, Story, sitemap
from twin_resources.database.schema import document, document_version, quarantine, source
from twin_resources.errors import SourceError
from twin_resources.network.browser import write_state
from twin_resources.sources.base import RawDocument, Unchanged
from twin_resources.sources.opener import SourceOpener
from twin_resources.storage.warehouse import CollectReport

PAGES = (("ada.example", "/essay"),)
LETTERS = (("ada.substack.com", "/api/v1/posts"), ("ada.substack.com", "/p/"))
STORIES = (("medium.com", "/@ada/"),)


def counts(report: CollectReport) -> tuple[int, int, int, int]:
    return report.new, report.changed, report.unchanged, report.gone


@dataclass(frozen=True)
class Platform:
    """One way to read one account, and where its documents are fetched."""

    entry: dict[str, Any]
    prefixes: tuple[tuple[str, str], ...]
    stories: Callable[[Replica], list[Story]]


WEBSITE = Platform({"website": "https://ada.example"}, PAGES, lambda replica: replica.site)
SUBSTACK = Platform({"substack": "ada.substack.com"}, LETTERS, lambda replica: replica.substack)


@pytest.mark.parametrize("platform", [WEBSITE, SUBSTACK], ids=["website", "substack"])
def test_a_second_crawl_with_nothing_new_fetches_no_document(crawl: Crawler, platform: Platform) -> None:
    stories = platform.stories(crawl.replica)
    first = crawl(platform.entry)
    assert counts(first) == (len(stories), 0, 0, 0)
    assert first.fetched == len(stories) == len(crawl.replica.sent_in_full(*platform.prefixes))
    before = crawl.warehouse.raw_hash("ada", "web")
    second = crawl(platform.entry)
    assert counts(second) == (0, 0, len(stories), 0)
    assert second.fetched == 0
    assert crawl.replica.sent_in_full(*platform.prefixes) == []
    assert crawl.warehouse.raw_hash("ada", "web") == before


@pytest.mark.parametrize("platform", [WEBSITE, SUBSTACK], ids=["website", "substack"])
def test_an_edit_becomes_a_new_version_and_only_that_page_is_fetched(crawl: Crawler, platform: Platform) -> None:
    stories = platform.stories(crawl.replica)
    crawl(platform.entry)
    stories[2].text = "Rewritten after the storm. " * 20
    report = crawl(platform.entry)
    assert counts(report) == (0, 1, len(stories) - 1, 0)
    assert len(crawl.replica.sent_in_full(*platform.prefixes)) == 1
    assert sum("Rewritten after the storm" in body for body in crawl.live().values()) == 1
    assert len(crawl.column(sa.select(document_version.c.id))) == len(stories) + 1, "the first version is kept"


@pytest.mark.parametrize("platform", [WEBSITE, SUBSTACK], ids=["website", "substack"])
def test_a_removed_article_is_gone_when_it_was_missing_twice(crawl: Crawler, platform: Platform) -> None:
    stories = platform.stories(crawl.replica)
    crawl(platform.entry)
    removed = stories.pop(1)
    first = crawl(platform.entry)
    assert (first.gone, first.absent) == (0, 1), "missing once may be the list's fault"
    assert len(crawl.live()) == len(stories) + 1
    second = crawl(platform.entry)
    assert (second.gone, second.absent) == (1, 0)
    assert not any(removed.slug in url for url in crawl.live())
    assert counts(crawl(platform.entry)) == (0, 0, len(stories), 0)
    stories.append(removed)
    assert crawl(platform.entry).new == 1, "and it comes back when it is there again"


def test_www_is_the_same_site_and_another_host_has_to_be_named(crawl: Crawler) -> None:
    routes = {**crawl.replica.routes, "www.ada.example": crawl.replica.base, "blog.ada.example": crawl.replica.base}
    collection = crawl.settings.collection.model_copy(update={"routes": routes})
    crawl.settings = crawl.settings.model_copy(update={"collection": collection})
    crawl.replica.extra["ada.example", "/essay-1"] = RedirectResponse("https://www.ada.example/essay-1", 301)
    www, blog = "https://www.ada.example/essay-1", "https://blog.ada.example/essay-2"
    crawl.replica.extra["www.ada.example", "/essay-1"] = HTMLResponse(Story("", "Moved").page(www))
    crawl.replica.extra["ada.example", "/essay-2"] = RedirectResponse("https://blog.ada.example/essay-2", 301)
    crawl.replica.extra["blog.ada.example", "/essay-2"] = HTMLResponse(Story("", "Own").page(blog))
    report = crawl(WEBSITE.entry)
    assert "https://www.ada.example/essay-1" in crawl.live()
    (refused,) = report.quarantined
    assert "blog.ada.example is not a host of this source" in refused.reason
    assert crawl({**WEBSITE.entry, "hosts": ["blog.ada.example"]}).quarantined == []
    assert "https://blog.ada.example/essay-2" in crawl.live()


def test_what_is_missing_from_the_list_but_still_there_is_kept(crawl: Crawler) -> None:
    crawl(WEBSITE.entry)
    hidden = crawl.replica.site.pop(1)
    kept = Response("<article>still there</article>", media_type="text/html")
    crawl.replica.extra["ada.example", f"/{hidden.slug}"] = kept
    for _ in range(3):
        report = crawl(WEBSITE.entry)
        assert (report.gone, report.absent, report.missing) == (0, 1, 0)
    crawl.replica.extra["ada.example", f"/{hidden.slug}"] = RedirectResponse("https://ada.example/login", 302)
    crawl.replica.extra["ada.example", "/login"] = Response("<h1>Log in</h1>", media_type="text/html")
    assert crawl(WEBSITE.entry).gone == 0, "a page behind a login is not gone"


def test_a_list_that_suddenly_has_far_less_deletes_nothing_and_blocks(crawl: Crawler) -> None:
    crawl(SUBSTACK.entry)
    kept, crawl.replica.substack[:] = list(crawl.replica.substack), crawl.replica.substack[:2]
    for _ in range(3):
        report = crawl(SUBSTACK.entry)
        assert (report.gone, report.missing) == (0, len(kept) - 2)
    assert len(crawl.live()) == len(kept)
    assert crawl(SUBSTACK.entry, accept_removals=True).gone == len(kept) - 2


def test_a_moved_article_stays_one_document(crawl: Crawler) -> None:
    crawl(WEBSITE.entry)
    identity = crawl.column(sa.select(document.c.id).where(document.c.url == "https://ada.example/essay-2"))
    old = crawl.replica.site[1]
    crawl.replica.site.append(Story("essay-two", old.title))
    old.moved_to = "essay-two"
    report = crawl(WEBSITE.entry)
    assert (report.new, report.changed, report.gone, report.absent) == (0, 1, 0, 0)
    assert "https://ada.example/essay-2" not in crawl.live()
    assert crawl.column(sa.select(document.c.id).where(document.c.url == "https://ada.example/essay-two")) == identity
    (live,) = [each for each in crawl.warehouse.documents.live("ada", "articles") if each.url.endswith("essay-two")]
    assert "https://ada.example/essay-2" in live.payload["also"], "the old address still leads to it"
    for _ in range(3):
        assert counts(crawl(WEBSITE.entry)) == (0, 0, 6, 0)


def test_a_renamed_letter_stays_one_document_by_its_id(crawl: Crawler) -> None:
    crawl(SUBSTACK.entry)
    crawl.replica.substack[4].slug = "a-better-name"
    report = crawl(SUBSTACK.entry)
    assert counts(report) == (0, 1, 14, 0)
    assert "https://ada.substack.com/p/a-better-name" in crawl.live()
    assert len(crawl.live()) == 15


def test_a_forgotten_article_that_moved_is_never_collected_again(crawl: Crawler) -> None:
    crawl(SUBSTACK.entry)
    crawl.replica.substack[4].slug = "a-better-name"
    crawl(SUBSTACK.entry)
    (key,) = crawl.column(sa.select(document.c.id).where(document.c.url.like("%a-better-name")))
    forget(crawl.warehouse.engine, key)
    report = crawl(SUBSTACK.entry)
    assert report.skipped == {"forgotten": 1}
    assert report.fetched == 0, "what was forgotten is not even asked for"


def test_a_canonical_link_joins_what_two_addresses_show(crawl: Crawler) -> None:
    twin = Story("essay-1-amp", "Essay 1")
    crawl.replica.site.append(twin)
    crawl.replica.extra["ada.example", "/essay-1-amp"] = Response(
        crawl.replica.site[0].page("https://ada.example/essay-1"), media_type="text/html"
    )
    report = crawl(WEBSITE.entry)
    assert (report.new, report.skipped) == (6, {"excluded": 1, "same_url_twice": 1})


def test_a_canonical_link_to_the_front_page_does_not_make_all_pages_one(crawl: Crawler) -> None:
    for story in crawl.replica.site:
        markup = story.page("https://ada.example/")
        crawl.replica.extra["ada.example", f"/{story.slug}"] = HTMLResponse(markup)
    assert crawl(WEBSITE.entry).new == 6


def test_an_article_that_names_another_as_its_other_address_does_not_swallow_it(crawl: Crawler) -> None:
    crawl(WEBSITE.entry)
    later = RawDocument(
        "https://ada.example/a-late-one", "web", "articles", "text/html", "<p>late</p>",
        also=("https://ada.example/essay-1",),
    )  # fmt: skip
    report = crawl(WEBSITE.entry, [later, *(Unchanged(url) for url in crawl.live())])
    assert (report.new, report.unchanged) == (1, 6)
    assert len(crawl.live()) == 7


def test_an_interrupted_crawl_goes_on_where_it_stopped(crawl: Crawler) -> None:
    slugs = sorted(story.slug for story in crawl.replica.site)
    for slug in slugs[3:]:
        crawl.replica.fail("ada.example", f"/{slug}", 500, 500)
    with pytest.raises(SourceError, match="HTTP 500"):
        crawl(WEBSITE.entry)
    assert len(crawl.live()) == 3, "what came before the failure is stored"
    report = crawl(WEBSITE.entry)
    assert counts(report) == (3, 0, 3, 0)
    assert len(crawl.replica.sent_in_full(*PAGES)) == 3


def test_a_crawl_that_was_killed_goes_on_after_what_was_stored(crawl: Crawler) -> None:
    def kill(found: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crawl(SUBSTACK.entry, progress=kill)
    stored = len(crawl.live())
    assert stored == 5
    report = crawl(SUBSTACK.entry)
    assert counts(report) == (10, 0, 5, 0)
    assert len(crawl.replica.sent_in_full(*LETTERS)) == 10


@pytest.mark.parametrize("fault", ["cut", 500])
def test_one_page_that_cannot_be_had_is_quarantined_and_nothing_is_gone(crawl: Crawler, fault: Any) -> None:
    crawl(WEBSITE.entry)
    for story in crawl.replica.site:
        story.text = "New words. " * 30
    for _ in range(3):
        crawl.replica.fail("ada.example", "/essay-2", fault, fault)
        report = crawl(WEBSITE.entry)
        assert [item.item for item in report.quarantined] == ["https://ada.example/essay-2"]
        assert (report.gone, report.absent, report.missing) == (0, 0, 0)
    assert len(crawl.live()) == 6
    assert crawl.column(sa.select(quarantine.c.remedy)) == ["nothing to do: the next collection tries again"]
    assert crawl(WEBSITE.entry).changed == 1


def test_while_a_page_is_walled_off_nothing_is_gone(crawl: Crawler) -> None:
    crawl(WEBSITE.entry)
    stories = crawl.replica.site
    stories.pop(1)
    crawl(WEBSITE.entry)
    stories[0].text = "Changed, and not to be had. " * 20
    crawl.replica.fail("ada.example", f"/{stories[0].slug}", 403)
    report = crawl(WEBSITE.entry)
    assert (report.gone, len(report.quarantined)) == (0, 1)


def test_github_confirms_nothing_while_it_refuses_to_answer(crawl: Crawler) -> None:
    opener = SourceOpener.of(crawl.settings)
    opened = opener.open(crawl.settings.author("ada").author, "github_account", "ada", {})
    source_id = crawl.warehouse.remember_source("ada", opened, {}, remembered=False)
    account = opener.connect(opened, crawl.warehouse.visits("ada", source_id))
    assert account
    url = "https://github.com/ada/kettle/blob/HEAD/kettle.py"
    for status, verdict in ((403, "unknown"), (401, "unknown"), (404, "gone")):
        crawl.replica.fail("api.github.com", "/repos/ada/kettle", status)
        assert account.confirm(url) == verdict, status
    account.client.close()


def test_a_throttled_crawl_waits_and_loses_nothing(crawl: Crawler) -> None:
    crawl.replica.fail("ada.substack.com", "/api/v1/archive", (429, {"retry-after": "3"}))
    crawl.replica.fail("ada.substack.com", "/api/v1/posts/letter-3", (429, {"retry-after": "5"}))
    assert crawl(SUBSTACK.entry).new == 15
    assert crawl.slept == [3.0, 5.0]


def test_a_list_that_cannot_be_had_fails_the_source_with_the_reason(crawl: Crawler) -> None:
    crawl(WEBSITE.entry)
    crawl.replica.fail("ada.example", "/posts.xml.gz", 500, 500)
    with pytest.raises(SourceError, match=r"https://ada\.example/posts\.xml\.gz: HTTP 500"):
        crawl(WEBSITE.entry)
    crawl.replica.extra["ada.example", "/posts.xml.gz"] = Response(b"<html>", media_type="application/xml")
    with pytest.raises(SourceError, match="not XML"):
        crawl(WEBSITE.entry)
    assert len(crawl.live()) == 6


def test_a_login_wall_is_said_with_the_way_round_it(crawl: Crawler) -> None:
    crawl.replica.extra["ada.example", "/essay-2"] = RedirectResponse("/login?next=essay-2", 302)
    crawl.replica.extra["ada.example", "/login"] = Response("<h1>Log in</h1>", media_type="text/html")
    (item,) = crawl(WEBSITE.entry).quarantined
    assert "leads to a page to log in" in item.reason
    assert "export" in item.remedy


def test_robots_txt_keeps_a_page_out_with_a_reason(crawl: Crawler) -> None:
    crawl.replica.robots["ada.example"] = "User-agent: *\nDisallow: /essay-2"
    report = crawl(WEBSITE.entry)
    assert report.new == 5
    assert "robots.txt" in report.quarantined[0].reason
    assert crawl.replica.sent_in_full(("ada.example", "/essay-2")) == []


def test_include_exclude_and_other_hosts(crawl: Crawler) -> None:
    crawl.replica.site.append(Story("about", "About me"))
    report = crawl({"website": "https://ada.example/sitemap.xml", "include": ["essay-*"], "exclude": "essay-3"})
    assert (report.new, report.skipped) == (5, {"excluded": 3})


def test_a_sitemap_with_lines_that_are_no_pages_of_the_site(crawl: Crawler) -> None:
    listed = [("https://ada.example/essay-1", None), ("https://[oops", None), ("https://other.example/x", None)]
    crawl.replica.extra["ada.example", "/odd.xml"] = sitemap(listed)
    odd = crawl({"website": "https://ada.example/odd.xml"})
    assert (odd.new, odd.skipped) == (1, {"other_host": 2})


def test_guest_posts_are_found_by_their_byline(crawl: Crawler) -> None:
    crawl.replica.site[0].author = "Somebody Else"
    crawl.replica.substack[0].author = "Somebody Else"
    assert crawl(WEBSITE.entry).skipped["other_author"] == 1
    assert crawl(WEBSITE.entry).skipped["other_author"] == 1, "said again though the page was not fetched again"
    assert crawl(SUBSTACK.entry).skipped == {"other_author": 1}
    assert crawl({**WEBSITE.entry, "any_author": True}).skipped == {"excluded": 1}


def test_substack_leaves_out_what_is_no_letter_and_says_what_is_cut(crawl: Crawler) -> None:
    crawl.replica.substack[0].kind = "thread"
    crawl.replica.substack[1].kind = "podcast"
    crawl.replica.substack[1].text = "Listen."
    crawl.replica.substack[2].members_only = True
    report = crawl(SUBSTACK.entry)
    assert report.skipped == {"thread": 1, "podcast": 1}
    (cut,) = report.quarantined
    assert "for paying readers" in cut.reason
    assert "substack_export" in cut.remedy
    assert report.new == 12


def test_a_subscribers_session_reads_what_is_paid_for_and_goes_nowhere_else(crawl: Crawler, tmp_path: Path) -> None:
    crawl.replica.substack[2].members_only = True
    state = {"cookies": [cookie("sid", "member", ".substack.com"), cookie("sid", "other", ".example.com")]}
    write_state(state, tmp_path / "state.json")
    report = crawl({**SUBSTACK.entry, "browser_state": "state.json"})
    assert (report.new, report.quarantined) == (15, [])
    with_cookie = [each for each in crawl.replica.log if "cookie" in each.headers]
    assert [(each.path, each.headers["cookie"]) for each in with_cookie] == [("/api/v1/posts/letter-3", "sid=member")]


def test_substack_without_its_interface_is_read_by_sitemap_and_pages(crawl: Crawler) -> None:
    crawl.replica.archive_answers = False
    report = crawl(SUBSTACK.entry)
    assert report.new == 15
    assert crawl.replica.asked("ada.substack.com", "/p/")
    crawl.replica.extra["ada.substack.com", "/sitemap.xml"] = Response(status_code=404)
    with pytest.raises(SourceError, match=r"/feed: HTTP 404"):
        crawl(SUBSTACK.entry)


def test_a_feed_knows_only_what_is_new_so_nothing_is_gone(crawl: Crawler) -> None:
    entry = {"feed": "https://ada.example/feed.xml"}
    assert counts(crawl(entry)) == (6, 0, 0, 0)
    del crawl.replica.site[2:]
    crawl.replica.site.append(Story("essay-7", "Essay 7"))
    for new in (1, 0, 0):
        report = crawl(entry)
        assert (report.new, report.gone, report.absent, report.missing) == (new, 0, 0, 0)
    assert len(crawl.live()) == 7


def test_a_feed_that_did_not_change_costs_one_request(crawl: Crawler, data: Path) -> None:
    content = (data / "feeds" / "two-authors.xml").read_bytes()
    crawl.replica.extra["ada.example", "/atom"] = Response(
        content, media_type="application/atom+xml", headers={"etag": '"one"'}
    )
    report = crawl({"feed": "https://ada.example/atom"})
    assert (report.new, report.skipped) == (2, {"other_author": 1})
    crawl.replica.extra["ada.example", "/atom"] = Response(status_code=304)
    again = crawl({"feed": "https://ada.example/atom"})
    assert (again.unchanged, again.skipped, again.requests) == (2, {"other_author": 1}, 2)


def test_links_of_a_feed_are_made_whole_or_quarantined(crawl: Crawler) -> None:
    links = ("/essay-9", "javascript:alert(1)", "https://[oops")
    items = [{"id": str(number), "url": link, "content_html": "<p>Text</p>"} for number, link in enumerate(links)]
    feed = {"version": "https://jsonfeed.org/version/1.1", "items": items}
    crawl.replica.extra["ada.example", "/feed.json"] = JSONResponse(feed)
    report = crawl({"feed": "https://ada.example/feed.json"})
    assert list(crawl.live()) == ["https://ada.example/essay-9"]
    assert [item.remedy for item in report.quarantined] == ["correct the link in the feed"] * 2


def test_an_entry_without_its_text_is_read_on_its_page(crawl: Crawler) -> None:
    crawl.replica.site[0].members_only = True
    report = crawl({"feed": "https://ada.example/feed.xml"})
    assert report.new == 6
    assert crawl.replica.sent_in_full(*PAGES) == ["/essay-1?source=rss-1------2"]


def test_medium_by_its_feed(crawl: Crawler) -> None:
    crawl.replica.medium[-1].members_only = True
    report = crawl({"medium": "@ada"})
    assert (report.new, len(report.quarantined)) == (2, 1)
    assert "for members" in report.quarantined[0].reason
    crawl.replica.medium.append(Story("story-15", "Story 15", "000000000f", published=START + timedelta(days=20)))
    report = crawl({"medium": "@ada"})
    assert (report.new, report.unchanged, report.gone) == (1, 1, 0)
    with pytest.raises(SourceError, match="write your handle"):
        crawl({"medium": "https://elsewhere.example/ada"})


@pytest.mark.browser
def test_the_whole_archive_of_medium_by_scrolling(crawl: Crawler, tmp_path: Path) -> None:
    entry = {"medium": "@ada", "archive": True, "browser_state": "state.json"}
    crawl.replica.medium[3].members_only = True
    state = {"cookies": [cookie("sid", "other", "medium.com")], "origins": []}
    write_state(state, tmp_path / "state.json")
    report = crawl(entry)
    assert counts(report) == (13, 0, 0, 0)
    assert [item.item for item in report.quarantined] == ["https://medium.com/@ada/story-4-0000000004"]
    write_state({**state, "cookies": [cookie("sid", "member", "medium.com")]}, tmp_path / "state.json")
    again = crawl(entry)
    assert (counts(again), again.fetched) == ((1, 0, 13, 0), 1), "signed in, the members' story is whole"
    assert crawl.replica.sent_in_full(*STORIES) == ["/@ada/story-4-0000000004"] * 2, "the preview, then in the browser"
    crawl.replica.medium[5].slug = "renamed"
    removed = crawl.replica.medium.pop(0)
    third = crawl(entry)
    assert (third.new, third.changed, third.absent) == (0, 1, 1)
    assert crawl(entry).gone == 1
    assert not any(removed.id in url for url in crawl.live())
    assert {each.headers["user-agent"] for each in crawl.replica.log} == {crawl.settings.collection.policy.user_agent}


@pytest.mark.browser
def test_a_page_in_the_browser_reaches_nothing_but_its_own_hosts(crawl: Crawler) -> None:
    with socket.create_server(("127.0.0.1", 0)) as inner:
        inner.settimeout(0.2)
        at = f"127.0.0.1:{inner.getsockname()[1]}"
        crawl.replica.extra["medium.com", "/@ada"] = HTMLResponse(
            f"<html><body><img src='http://{at}/i'><script src='http://{at}/s'></script><iframe src='http://{at}/f'></iframe>"
            "<iframe src='http://169.254.169.254/latest'></iframe><script src='https://ads.example/x.js'></script>"
            f"<script>fetch('http://{at}/x'); new WebSocket('ws://{at}/w'); navigator.sendBeacon('http://{at}/b');"
            "document.body.append('ran')</script><a href='/@ada/story-1-0000000001'>one</a></body></html>"
        )
        report = crawl({"medium": "@ada", "archive": True})
        assert report.new == 4, "the page was read, with the three stories of the feed"
        with pytest.raises(TimeoutError):
            inner.accept()
    assert {each.host for each in crawl.replica.log} == {"medium.com"}


@pytest.mark.browser
def test_a_browser_state_that_others_can_read_is_refused(crawl: Crawler, tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text(json.dumps({"cookies": []}))
    path.chmod(0o644)
    with pytest.raises(SourceError, match="chmod 600"):
        crawl({"medium": "@ada", "archive": True, "browser_state": "state.json"})
    with pytest.raises(SourceError, match="twin login"):
        crawl({"medium": "@ada", "archive": True, "browser_state": "none.json"})


def cookie(name: str, value: str, domain: str) -> dict[str, Any]:
    return {"name": name, "value": value, "domain": domain, "path": "/", "expires": -1, "httpOnly": True,
            "secure": True, "sameSite": "Lax"}  # fmt: skip


@pytest.mark.browser
def test_linkedin_activity_is_off_until_the_member_says_so(crawl: Crawler, tmp_path: Path) -> None:
    own = "urn:li:activity:7000000000000000001"
    crawl.replica.activity = [
        (own, "Ada Berg", "Low water at six.<br>Bring boots."),
        ("urn:li:activity:7000000000000000002", "Bo Lind", "Somebody else's words."),
        ("urn:li:activity:7000000000000000003", "Ada Berg", ""),
    ]
    with pytest.raises(SourceError, match=r"is off\. LinkedIn's user agreement forbids automated access"):
        crawl({"linkedin_activity": "ada-berg"})
    entry = {"linkedin_activity": "ada-berg", "i_understand": True, "browser_state": "state.json"}
    write_state({"cookies": [], "origins": []}, tmp_path / "state.json")
    with pytest.raises(SourceError, match="not signed in any more; twin login linkedin"):
        crawl(entry)
    write_state({"cookies": [cookie("li_at", "member", ".linkedin.com")], "origins": []}, tmp_path / "state.json")
    report = crawl(entry)
    assert (report.new, report.skipped) == (1, {"other_author": 1, "repost": 1})
    assert crawl.live()[f"https://www.linkedin.com/feed/update/{own}"].endswith("Bring boots.</span>")


def shares(*numbers: int) -> list[dict[str, str]]:
    return [
        {
            "Date": f"2026-01-{number:02} 08:00:00",
            "ShareLink": f"https://www.linkedin.com/feed/update/urn%3Ali%3Ashare%3A{number}",
            "ShareCommentary": f'Tide {number}"\n"second line',
            "SharedUrl": "",
            "MediaUrl": "",
            "Visibility": "MEMBER_NETWORK",
        }
        for number in numbers
    ]


def change(number: int, at: int, text: str, method: str = "CREATE", name: str = "ugcPosts") -> dict[str, Any]:
    return {
        "id": at,
        "processedAt": at,
        "capturedAt": at,
        "resourceName": name,
        "resourceId": f"urn:li:share:{number}",
        "method": method,
        "owner": "urn:li:person:ada",
        "activity": {
            "id": f"urn:li:share:{number}",
            "author": "urn:li:person:ada",
            "created": {"time": at},
            "specificContent": {"com.linkedin.ugc.ShareContent": {"shareCommentary": {"text": text}}},
        },
    }


def test_linkedin_by_its_interface(crawl: Crawler, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"linkedin": "me"}
    monkeypatch.delenv("TWIN_LINKEDIN_TOKEN", raising=False)
    with pytest.raises(SourceError, match="r_dma_portability_self_serve"):
        crawl(entry)
    monkeypatch.setenv("TWIN_LINKEDIN_TOKEN", "wrong")
    with pytest.raises(SourceError, match="HTTP 401") as caught:
        crawl(entry)
    assert "wrong" not in str(caught.value)
    monkeypatch.setenv("TWIN_LINKEDIN_TOKEN", "the-token")
    crawl.replica.shares = shares(*range(1, 24))
    report = crawl(entry)
    assert counts(report) == (23, 0, 0, 0)
    assert "Tide 5\nsecond line" in crawl.live().values(), "without the quotes that LinkedIn puts around line breaks"
    (cursor,) = crawl.column(sa.select(source.c.cursor))
    now = cursor["processed_at"]
    crawl.replica.changes = [
        *(change(100 + each, now + each, f"New {each}") for each in range(1, 13)),
        change(3, now + 20, "Tide 3, edited"),
        change(7, now + 21, "", "DELETE"),
        change(8, now + 22, "like", name="reactions"),
    ]
    report = crawl(entry)
    assert (report.new, report.changed, report.gone, report.absent) == (12, 1, 0, 0)
    assert report.skipped == {"deleted": 1, "not_a_post": 1}
    assert "Tide 3, edited" in crawl.live().values()
    assert counts(crawl(entry)) == (0, 0, 0, 0), "the log goes on where it stopped"
    assert crawl.column(sa.select(source.c.cursor))[0]["processed_at"] == now + 22
    stored = crawl.column(sa.select(source.c.cursor)) + crawl.column(sa.select(source.c.options))
    assert "the-token" not in json.dumps(stored)


def repositories(replica: Replica) -> None:
    replica.repositories = [
        Repository("tides", {"README.md": f"# Tides\n\n{WORDS}", "tides/curve.py": "def level():\n    return 3\n"}),
        Repository("notes", {"notes.md": f"# Notes\n\n{WORDS}", "vendor/lib.py": "x = 1\n"}),
        Repository("copied", {"a.py": "a = 1\n"}, fork=True),
        Repository("ancient", {"b.py": "b = 1\n"}, archived=True),
        Repository("gauge", {"gauge.py": "GAUGE = 1\n"}),
    ]
    replica.gists = [
        {"id": "abc", "html_url": "https://gist.github.com/ada/abc", "updated_at": "2026-01-01T00:00:00Z",
         "created_at": "2026-01-01T00:00:00Z", "description": "How to read a gauge",
         "files": {"read.py": {"content": "print('gauge')\n"}, "photo.png": {"content": ""}}},
    ]  # fmt: skip


def test_github_repositories_gists_and_releases(crawl: Crawler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_GITHUB_TOKEN", "t0ken")
    repositories(crawl.replica)
    crawl.replica.repositories[0].releases = [
        {"html_url": "https://github.com/ada/tides/releases/v1", "name": "v1", "tag_name": "v1", "draft": False,
         "body": f"## New\n{WORDS}", "author": {"login": "Ada"}, "published_at": "2026-01-02T00:00:00Z"},
        {"html_url": "https://github.com/ada/tides/releases/v2", "tag_name": "v2", "body": "bot", "draft": False,
         "author": {"login": "release-bot"}},
    ]  # fmt: skip
    entry = {"github": "ada"}
    report = crawl(entry)
    assert set(crawl.live()) == {
        "https://github.com/ada/tides/blob/HEAD/README.md",
        "https://github.com/ada/tides/blob/HEAD/tides/curve.py",
        "https://github.com/ada/notes/blob/HEAD/notes.md",
        "https://github.com/ada/gauge/blob/HEAD/gauge.py",
        "https://github.com/ada/tides/releases/v1",
        "https://gist.github.com/ada/abc#file-read-py",
    }
    assert report.skipped == {"fork": 1, "archived": 1, "vendored": 1, "other_author": 1, "not_code": 1}
    assert all("authorization" not in each.headers for each in crawl.replica.asked("codeload.github.com"))
    assert crawl.replica.asked("api.github.com")[0].headers["authorization"] == "Bearer t0ken"
    again = crawl(entry)
    assert (counts(again), again.fetched, again.skipped) == ((0, 0, 6, 0), 0, report.skipped)
    assert {each.status for each in crawl.replica.asked("api.github.com")} == {304}, "which costs nothing of the limit"
    tides = crawl.replica.repositories[0]
    tides.pushed += timedelta(days=1)
    tides.files["tides/curve.py"] = "def level():\n    return 4\n"
    del tides.files["README.md"]
    changed = crawl(entry)
    assert (changed.new, changed.changed, changed.absent) == (0, 1, 1)
    assert crawl(entry).gone == 1
    assert crawl.replica.asked("codeload.github.com") == []


def test_github_without_a_token_names_the_way_to_one(crawl: Crawler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWIN_GITHUB_TOKEN", raising=False)
    used_up = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + 3000)}
    crawl.replica.fail("api.github.com", "/users/ada/repos", (403, used_up))
    with pytest.raises(SourceError, match=r"asks to wait .* Without TWIN_GITHUB_TOKEN the limit is 60 an hour"):
        crawl({"github": "ada"})
    with pytest.raises(SourceError, match="HTTP 404"):
        crawl({"github": "@nobody"})
    crawl.replica.fail("api.github.com", "/users/ada/repos", 401, 401)
    with pytest.raises(SourceError, match="TWIN_GITHUB_TOKEN"):
        crawl({"github": "ada"})


def test_only_files_with_own_commits(crawl: Crawler) -> None:
    repositories(crawl.replica)
    tides = crawl.replica.repositories[0]
    tides.commits = {"1" * 40: ("ada", ["tides/curve.py"]), "2" * 40: ("bo", ["README.md"])}
    report = crawl({"github": "ada", "only_own": True, "repositories": "tides", "gists": False, "releases": False})
    assert set(crawl.live()) == {"https://github.com/ada/tides/blob/HEAD/tides/curve.py"}
    assert report.skipped["other_author"] == 1


def test_a_renamed_repository_keeps_its_documents(crawl: Crawler) -> None:
    repositories(crawl.replica)
    entry = {"github": "ada", "repositories": "ti*", "gists": False}
    crawl(entry)
    ids = crawl.column(sa.select(document.c.id).order_by(document.c.id))
    crawl.replica.repositories[0].name = "tisde"  # the same letters, so the replica gives it the same id
    report = crawl(entry)
    assert (report.new, report.changed, report.absent) == (0, 2, 0)
    assert crawl.column(sa.select(document.c.id).order_by(document.c.id)) == ids
    assert all(url.startswith("https://github.com/ada/tisde/") for url in crawl.live())


def escaping(archive: tarfile.TarFile) -> None:
    archive.addfile(tarfile.TarInfo("ada-tides/../../../../tmp/evil.py"))


def bomb(archive: tarfile.TarFile) -> None:
    import io

    entry = tarfile.TarInfo("ada-tides/zeros.py")
    entry.size = 600 * 1024**2

    class Zeros(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return b"\0" * size

    archive.addfile(entry, Zeros())  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("evil", "says"), [(escaping, "unsafe name"), (bomb, "unpacks to more than")])
def test_an_evil_archive_of_a_repository_is_not_unpacked(crawl: Crawler, evil: Any, says: str) -> None:
    repositories(crawl.replica)
    crawl.replica.repositories[0].evil = evil
    report = crawl({"github": "ada", "repositories": "tides", "gists": False})
    (item,) = report.quarantined
    assert says in item.reason
    assert crawl.live() == {}
