"""A Mastodon account: own words only, new ones by cursor, edits and removals by a whole reading."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from twin_assets_tests.support.crawler import Crawler
from twin_resources.database.schema import source
from twin_resources.errors import SourceError

ENTRY = {"mastodon": "@ada@social.example"}


def status(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "url": f"https://social.example/@ada/{number}",
        "content": f"<p>The tide is at mark {number}.</p>",
        "created_at": f"2026-01-{number:02}T08:00:00.000Z",
        "visibility": "public",
        "account": {"id": "77"},
        **changes,
    }


class Instance:
    """An instance with one account, four posts a page."""

    def __init__(self) -> None:
        self.statuses = [status(number) for number in range(1, 11)]
        self.note = "<p></p>"

    def __call__(self, path: str, request: Request) -> Response | None:
        query = request.query_params
        if path == "/api/v1/accounts/lookup":
            found = query["acct"] == "ada"
            return JSONResponse(
                {"id": "77", "acct": "ada", "note": self.note} if found else {"error": "Record not found"},
                200 if found else 404,
            )
        if path == "/api/v1/accounts/77/statuses":
            before, after = int(query.get("max_id", 10**9)), int(query.get("since_id", 0))
            newest = sorted(self.statuses, key=lambda each: -int(each["id"]))
            return JSONResponse([each for each in newest if after < int(each["id"]) < before][:4])
        if path == "/@ada" or any(path == f"/@ada/{each['id']}" for each in self.statuses):
            return HTMLResponse("<p>there</p>")
        return None


@pytest.fixture
def instance(crawl: Crawler) -> Instance:
    made = Instance()
    crawl.replica.handlers["social.example"] = made
    return made


def test_own_words_only(crawl: Crawler, instance: Instance) -> None:
    instance.statuses += [
        status(11, reblog={"id": "1"}),
        status(12, in_reply_to_account_id="5"),
        status(13, in_reply_to_account_id="77"),
        status(14, visibility="private"),
        status(15, content="<p></p>"),
    ]
    report = crawl(ENTRY)
    assert (report.new, report.skipped) == (11, {"repost": 1, "reply": 1, "not_public": 1, "empty": 1})
    assert crawl.live()["https://social.example/@ada/3"] == "<p>The tide is at mark 3.</p>"
    assert crawl({**ENTRY, "replies": True}).skipped.total() == 0, "only what is new is asked for"


def test_what_is_new_by_cursor_and_everything_by_the_week(crawl: Crawler, instance: Instance) -> None:
    assert crawl(ENTRY).new == 10
    instance.statuses.append(status(11))
    instance.statuses[1]["content"] = "<p>Edited.</p>"
    del instance.statuses[4]
    report = crawl(ENTRY)
    assert (report.found, report.new, report.gone, report.absent) == (1, 1, 0, 0)
    week = {**ENTRY, "full_days": 0}
    report = crawl(week)
    assert (report.changed, report.unchanged, report.absent) == (1, 9, 1)
    report = crawl(week)
    assert (report.changed, report.unchanged, report.gone) == (0, 10, 1)
    with crawl.warehouse.engine.connect() as session:
        assert session.scalar(sa.select(source.c.cursor))["newest"] == "11"


def test_the_bio_is_a_post_that_changes_and_goes_with_it(crawl: Crawler, instance: Instance) -> None:
    week, address = {**ENTRY, "full_days": 0}, "https://social.example/@ada"
    instance.note = "<p>Keeper of gauges.</p>"
    assert crawl(week).new == 11
    assert crawl.live()[address] == instance.note
    assert crawl(week).unchanged == 11
    instance.note = "<p>Keeper of many gauges.</p>"
    assert (crawl(week).changed, crawl(ENTRY).unchanged) == (1, 1)
    instance.note = ""
    assert (crawl(week).absent, crawl(week).gone) == (1, 1)
    assert address not in crawl.live()


def test_an_account_that_is_not_there_and_an_address_that_is_none(crawl: Crawler, instance: Instance) -> None:
    with pytest.raises(SourceError, match=r"HTTP 404; check the location"):
        crawl({"mastodon": "@bo@social.example"})
    with pytest.raises(SourceError, match="write an address such as"):
        crawl({"mastodon": "ada"})
