"""What the platforms really answered, replayed: GitHub's interface, two feeds, a post of LinkedIn's page."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response

from twin_assets_tests.support.crawler import Crawler
from twin_resources.errors import SourceError
from twin_resources.sources.base import Author, RawDocument, Skipped
from twin_resources.sources.linkedin_activity import LinkedInActivity, posts_of

CASSETTES = "github/cassettes"


class Tape:
    """Recorded answers of one host, found by path."""

    def __init__(self, *files: Path) -> None:
        self.answers: dict[str, Response] = {}
        for file in files:
            for call in json.loads(file.read_text(encoding="utf-8"))["http_interactions"]:
                answer = call["response"]
                kept = ("etag", "link", "location", "content-type", "x-ratelimit-remaining", "x-ratelimit-reset")
                headers = {name: values[0] for name, values in answer["headers"].items() if name.lower() in kept}
                body = base64.b64decode(answer["body"].get("base64_string", ""))
                path = call["request"]["uri"].removeprefix("https://api.github.com").partition("?")[0]
                self.answers[path] = Response(body, status_code=answer["status"]["code"], headers=headers)

    def __call__(self, path: str, request: Request) -> Response | None:
        found = self.answers.get(path)
        if found and "etag" in found.headers and request.headers.get("if-none-match") == found.headers["etag"]:
            return Response(status_code=304)
        return found


def test_a_recorded_account_of_github(crawl: Crawler, real_data: Path) -> None:
    tape = Tape(
        real_data / CASSETTES / "Octokit_Client_Repositories" / "_repositories" / "returns_a_user_s_repositories.json",
        real_data / CASSETTES / "Octokit_Client_Repositories" / "_repository_"
        / "returns_false_if_the_repository_doesn_t_exist.json",
    )  # fmt: skip
    crawl.replica.handlers["api.github.com"] = tape
    entry = {"github": "sferik", "without": "*", "gists": False}
    with pytest.raises(SourceError, match=r"/user/10308/repos: HTTP 404"):
        crawl(entry)
    assert [each.path for each in crawl.replica.asked("api.github.com")] == [
        "/users/sferik/repos?per_page=100&sort=full_name",
        "/user/10308/repos?page=2",
    ], "the second page was not recorded, but it was asked for by its Link header"
    tape.answers["/user/10308/repos"] = Response("[]", media_type="application/json")
    report = crawl(entry)
    assert report.found == 30
    assert report.skipped == {"fork": 20, "excluded": 10}
    crawl(entry)
    statuses = [each.status for each in crawl.replica.asked("api.github.com", "/users/")]
    assert statuses == [304], "with the ETag that GitHub gave"


def test_a_recorded_redirect_to_an_archive_is_followed_without_the_token(
    crawl: Crawler, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWIN_GITHUB_TOKEN", "t0ken")
    folder = real_data / CASSETTES / "Octokit_Client_Contents" / "_archive_link"
    tape = Tape(folder / "returns_the_headers_of_the_request.json")
    name = "octokit/octokit.rb"
    listed = {"id": 1, "name": "octokit.rb", "full_name": name, "size": 5, "html_url": f"https://github.com/{name}",
              "default_branch": "master", "pushed_at": "2026-01-01T00:00:00Z"}  # fmt: skip
    tape.answers["/users/octokit/repos"] = Response(json.dumps([listed]), media_type="application/json")
    crawl.replica.handlers["api.github.com"] = tape
    report = crawl({"github": "octokit", "gists": False, "releases": False})
    assert report.skipped == {"not_there": 1}, "the archive itself was not recorded"
    (asked,) = crawl.replica.asked("codeload.github.com")
    assert asked.path == "/octokit/octokit.rb/legacy.tar.gz/master"
    assert "authorization" not in asked.headers


def test_real_feeds_by_author(crawl: Crawler, real_data: Path) -> None:
    author = crawl.settings.authors[0].model_copy(update={"name": "Nathan Lambert"})
    crawl.settings = crawl.settings.model_copy(update={"authors": (author,)})
    feed = Response((real_data / "substack" / "feed.xml").read_bytes(), media_type="application/rss+xml")
    crawl.replica.extra["ada.example", "/feed"] = feed
    report = crawl({"feed": "https://ada.example/feed"})
    assert (report.new, report.skipped) == (17, {"other_author": 3})


def test_a_real_post_of_the_activity_page(real_data: Path) -> None:
    markup = (real_data / "linkedin" / "feed-update-excerpt.html").read_text(encoding="utf-8")
    own = LinkedInActivity("arjunvpaul", Author("me", "Arjun V Paul"))
    (found,) = posts_of(markup, own)
    assert isinstance(found, RawDocument)
    assert found.url == "https://www.linkedin.com/feed/update/urn:li:activity:7366738224129470464"
    assert len(found.body) > 100
    (other,) = posts_of(markup, LinkedInActivity("ada", Author("ada", "Ada Berg")))
    assert isinstance(other, Skipped)
    assert other.reason == "other_author"
