"""The platforms on loopback: one small server that answers for all their hosts, well and badly.

A test says what an account holds by changing :class:`Replica`'s fields, and what goes wrong by :meth:`Replica.fail`.
Every request is in ``log``. Which host is meant stands in ``X-Forwarded-Host``, as a route sends it.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import tarfile
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape
from typing import Any
from xml.sax.saxutils import escape as xml

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
WORDS = (
    "The tide turned before the harbour lamps went out, and the pilot wrote the hour into the book. "
    "A small error in the gauge grows into a large one in the table, so the crew reads it twice. "
)


@dataclass
class Story:
    """One article, wherever it is shown."""

    slug: str
    title: str
    id: str = ""
    author: str = "Ada Berg"
    text: str = WORDS
    published: datetime = START
    updated: datetime | None = None
    members_only: bool = False
    kind: str = "newsletter"
    moved_to: str | None = None
    byline_shown: bool = True

    @property
    def html(self) -> str:
        """Three paragraphs."""
        return "".join(f"<p>{escape(self.text)} {escape(self.title)}, part {part}.</p>" for part in (1, 2, 3))

    def page(self, url: str, *, whole: bool = True) -> str:
        """The article's own page."""
        linked = {
            "@type": "Article",
            "headline": self.title,
            "datePublished": self.published.isoformat(),
            "isAccessibleForFree": not self.members_only,
            **({"author": {"@type": "Person", "name": self.author}} if self.byline_shown else {}),
        }
        if whole and self.members_only:
            linked["isAccessibleForFree"] = True
        return (
            f'<!doctype html><html lang="en"><head><title>{escape(self.title)}</title>'
            f'<link rel="canonical" href="{url}"><meta property="og:title" content="{escape(self.title)}">'
            f'<script type="application/ld+json">{json.dumps(linked)}</script></head><body><nav>Sign in</nav>'
            f"<article><h1>{escape(self.title)}</h1>{self.html if whole else '<p>The tide turned</p>'}</article>"
            "<footer>Share this post</footer></body></html>"
        )


@dataclass
class Repository:
    """One repository with its files."""

    name: str
    files: dict[str, str]
    pushed: datetime = START
    fork: bool = False
    archived: bool = False
    releases: list[dict[str, Any]] = field(default_factory=list)
    commits: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    """SHA to the login of its author and the files it touched."""
    evil: Callable[[tarfile.TarFile], None] | None = None

    def tarball(self) -> bytes:
        """As GitHub packs it: everything in one folder."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, text in sorted(self.files.items()):
                data = text.encode()
                entry = tarfile.TarInfo(f"ada-{self.name}-0123abc/{name}")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
            if self.evil:
                self.evil(archive)
        return packed.getvalue()


@dataclass(frozen=True)
class Logged:
    """One request, as it came in and as it was answered."""

    host: str
    path: str
    status: int
    headers: dict[str, str]
    at: float


class Replica:
    """The state of all accounts, and the server. Use it in a ``with`` statement."""

    HOSTS = (
        "medium.com", "ada.substack.com", "substack.com", "api.github.com", "codeload.github.com", "github.com",
        "gist.github.com", "gist.githubusercontent.com", "api.linkedin.com", "www.linkedin.com", "ada.example",
        "social.example",
    )  # fmt: skip

    def __init__(self) -> None:
        self.reset()
        app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST", "HEAD"])])
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def reset(self) -> None:
        """The accounts as every test finds them, without faults."""
        self.robots: dict[str, str] = {}
        self.medium: list[Story] = [
            Story(f"story-{number}", f"Story {number}", f"{number:010x}", published=START + timedelta(days=number))
            for number in range(1, 15)
        ]
        self.feed_length = 3
        self.substack: list[Story] = [
            Story(f"letter-{number}", f"Letter {number}", str(500 + number), published=START + timedelta(days=number))
            for number in range(1, 16)
        ]
        self.archive_answers = True
        self.site: list[Story] = [Story(f"essay-{number}", f"Essay {number}") for number in range(1, 7)]
        self.repositories: list[Repository] = []
        self.gists: list[dict[str, Any]] = []
        self.shares: list[dict[str, str]] = []
        self.profile: list[dict[str, str]] = []
        self.byline: dict[str, str] = {}
        self.changes: list[dict[str, Any]] = []
        self.activity: list[tuple[str, str, str]] = []
        """URN, name and text."""
        self.handlers: dict[str, Callable[[str, Request], Response | None]] = {}
        """Answers for further hosts, which a test brings along."""
        self.log: list[Logged] = []
        self.extra: dict[tuple[str, str], Response] = {}
        self._faults: dict[tuple[str, str], list[Any]] = defaultdict(list)

    def __enter__(self) -> Replica:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    @property
    def routes(self) -> dict[str, str]:
        """What sends every host of the platforms here."""
        return dict.fromkeys(self.HOSTS, self.base)

    def fail(self, host: str, path: str, *faults: Any) -> None:
        """Answer the next requests for a path badly, one fault each.

        A fault is a status, ``(status, headers)``, a :class:`Response`, ``"hang"``, ``"cut"`` or ``"drip"``.
        """
        self._faults[host, path].extend(faults)

    def asked(self, host: str, prefix: str = "/") -> list[Logged]:
        """The requests for a host since the log was cleared, without those for robots.txt."""
        return [each for each in self.log if each.host == host and each.path.startswith(prefix)
                and each.path != "/robots.txt"]  # fmt: skip

    def sent_in_full(self, *prefixes: tuple[str, str]) -> list[str]:
        """Which documents were sent with a body."""
        return [each.path for host, prefix in prefixes for each in self.asked(host, prefix) if each.status == 200]

    async def _answer(self, request: Request) -> Response:
        host = request.headers.get("x-forwarded-host", "127.0.0.1")
        path = "/" + request.path_params["path"]
        faults = self._faults.get((host, path))
        response = await self._fault(faults.pop(0)) if faults else None
        if response is None:
            response = self.extra.get((host, path)) or self._of_host(host, path, request)
        full = f"{path}?{request.url.query}" if request.url.query else path
        self.log.append(Logged(host, full, response.status_code, dict(request.headers), time.monotonic()))
        return response

    async def _fault(self, fault: Any) -> Response:
        if fault == "hang":
            await asyncio.sleep(5)
            return Response(status_code=200)
        if fault == "cut":

            async def some() -> AsyncIterator[bytes]:
                yield b"<html><article>The tide"

            return StreamingResponse(some(), headers={"content-length": "5000"}, media_type="text/html")
        if fault == "drip":

            async def slowly() -> AsyncIterator[bytes]:
                for _ in range(200):
                    yield b"<p>"
                    await asyncio.sleep(0.05)

            return StreamingResponse(slowly(), media_type="text/html")
        if isinstance(fault, Response):
            return fault
        status, headers = fault if isinstance(fault, tuple) else (fault, {})
        return Response("no", status_code=status, headers=headers)

    def _of_host(self, host: str, path: str, request: Request) -> Response:
        if path == "/robots.txt":
            rules = self.robots.get(host)
            return Response(rules, media_type="text/plain") if rules is not None else Response(status_code=404)
        answer = self.handlers.get(host) or {
            "medium.com": self._medium,
            "ada.substack.com": self._substack,
            "api.github.com": self._github,
            "codeload.github.com": self._codeload,
            "api.linkedin.com": self._linkedin_api,
            "www.linkedin.com": self._linkedin,
            "ada.example": self._site,
        }.get(host)
        found = answer(path, request) if answer else None
        return found or Response("not found", status_code=404)

    def _medium(self, path: str, request: Request) -> Response | None:
        if path == "/feed/@ada":
            newest = sorted(self.medium, key=lambda story: story.published, reverse=True)[: self.feed_length]
            return rss("https://medium.com", newest, lambda story: f"https://medium.com/@ada/{story.slug}-{story.id}")
        if path == "/@ada":
            script = (
                "let page = 0, busy = false;"
                "async function more() { if (busy) return; busy = true; page += 1;"
                " const answer = await fetch('/_/stories?page=' + page); const links = await answer.json();"
                " for (const link of links) { const a = document.createElement('a'); a.href = a.textContent = link;"
                " a.style.display = 'block'; a.style.height = '400px'; document.body.append(a); } busy = false; }"
                "addEventListener('scroll', more); more();"
            )
            head = '<a href="/@ada/about">About</a><a href="/@bo/other-0000000099">Read next</a>'
            return HTMLResponse(
                f"<html><body>{head}<div style='height:3000px'></div><script>{script}</script></body></html>"
            )
        if path == "/_/stories":
            at = (int(request.query_params["page"]) - 1) * 5
            return JSONResponse(
                [f"/@ada/{story.slug}-{story.id}?source=user_profile" for story in self.medium][at : at + 5]
            )
        for story in self.medium:
            if path == f"/@ada/{story.slug}-{story.id}":
                whole = not story.members_only or "sid=member" in request.headers.get("cookie", "")
                return page(request, story.page(f"https://medium.com{path}", whole=whole))
            if story.id and path.endswith(story.id):
                return RedirectResponse(f"https://medium.com/@ada/{story.slug}-{story.id}", 301)
        return None

    def _substack(self, path: str, request: Request) -> Response | None:
        posts = sorted(self.substack, key=lambda story: story.published, reverse=True)

        def described(story: Story) -> dict[str, Any]:
            return {
                "id": int(story.id),
                "slug": story.slug,
                "title": story.title,
                "type": story.kind,
                "audience": "only_paid" if story.members_only else "everyone",
                "post_date": story.published.isoformat(),
                "canonical_url": f"https://ada.substack.com/p/{story.slug}",
                "wordcount": len(story.html.split()),
                "publishedBylines": [{"id": 1, "name": story.author, **self.byline}],
                **({"updated_at": story.updated.isoformat()} if story.updated else {}),
            }

        if path == "/api/v1/archive" and self.archive_answers:
            at, limit = int(request.query_params["offset"]), int(request.query_params["limit"])
            return JSONResponse([described(story) for story in posts[at : at + min(limit, 12)]])
        if path == "/sitemap.xml":
            return sitemap([(f"https://ada.substack.com/p/{story.slug}", None) for story in posts])
        for story in posts:
            if path == f"/api/v1/posts/{story.slug}":
                whole = not story.members_only or "sid=member" in request.headers.get("cookie", "")
                body = story.html if whole else "<p>The tide turned</p>"
                return tagged(request, json.dumps({**described(story), "body_html": body}).encode(), "application/json")
            if path == f"/p/{story.slug}":
                return page(request, story.page(f"https://ada.substack.com{path}", whole=not story.members_only))
        return None

    def _github(self, path: str, request: Request) -> Response | None:
        if path == "/users/ada/repos":
            at = int(request.query_params.get("page", "1"))
            shown = self.repositories[(at - 1) * 2 : at * 2]
            content = json.dumps([self._repository(each) for each in shown]).encode()
            answer = tagged(request, content, "application/json; charset=utf-8")
            if at * 2 < len(self.repositories):
                answer.headers["link"] = f'<https://api.github.com/users/ada/repos?page={at + 1}>; rel="next"'
            return answer
        if path == "/users/ada/gists":
            return tagged(request, json.dumps(self.gists).encode(), "application/json")
        for gist in self.gists:
            if path == f"/gists/{gist['id']}":
                return tagged(request, json.dumps(gist).encode(), "application/json")
        for each in self.repositories:
            at = f"/repos/ada/{each.name}"
            if path == f"{at}/tarball/main":
                return RedirectResponse(
                    f"https://codeload.github.com/ada/{each.name}/legacy.tar.gz/main?token=one", 302
                )
            if path == f"{at}/releases":
                return tagged(request, json.dumps(each.releases).encode(), "application/json")
            if path == f"{at}/commits":
                mine = [sha for sha, (login, _) in each.commits.items() if login == request.query_params["author"]]
                return JSONResponse([{"sha": sha} for sha in mine])
            if path.startswith(f"{at}/commits/"):
                files = each.commits[path.rpartition("/")[2]][1]
                return JSONResponse({"files": [{"filename": name} for name in files]})
            if path == at:
                return JSONResponse(self._repository(each))
        return None

    def _repository(self, each: Repository) -> dict[str, Any]:
        return {
            "id": sum(each.name.encode()),
            "name": each.name,
            "full_name": f"ada/{each.name}",
            "html_url": f"https://github.com/ada/{each.name}",
            "fork": each.fork,
            "archived": each.archived,
            "size": sum(map(len, each.files.values())),
            "pushed_at": each.pushed.isoformat(),
            "default_branch": "main",
        }

    def _codeload(self, path: str, _: Request) -> Response | None:
        for each in self.repositories:
            if path == f"/ada/{each.name}/legacy.tar.gz/main":
                return Response(each.tarball(), media_type="application/x-gzip")
        return None

    def _linkedin_api(self, path: str, request: Request) -> Response | None:
        if request.headers.get("authorization") != "Bearer the-token" or "linkedin-version" not in request.headers:
            return JSONResponse({"message": "Unauthorized"}, 401)
        if path == "/rest/memberSnapshotData":
            at, domain = int(request.query_params["start"]), request.query_params["domain"]
            shown = (self.profile if domain == "PROFILE" else self.shares)[at * 10 : at * 10 + 10]
            if not shown:
                return JSONResponse({"message": "No data found for this memberId"}, 404)
            query = f"q=criteria&domain={domain}&start={at + 1}"
            links = [{"rel": "next", "href": f"/rest/memberSnapshotData?{query}"}]
            elements = [{"snapshotDomain": domain, "snapshotData": shown}]
            return JSONResponse({"paging": {"start": at, "count": 10, "links": links}, "elements": elements})
        if path == "/rest/memberChangeLogs":
            since, count = int(request.query_params["startTime"]), int(request.query_params["count"])
            later = [each for each in self.changes if each["processedAt"] >= since]
            return JSONResponse({"elements": sorted(later, key=lambda each: each["processedAt"])[:count]})
        return None

    def _linkedin(self, path: str, request: Request) -> Response | None:
        if path == "/in/ada-berg/recent-activity/all/":
            if "li_at=member" not in request.headers.get("cookie", ""):
                return RedirectResponse("https://www.linkedin.com/authwall?trk=x", 302)
            updates = "".join(
                f'<div class="feed-shared-update-v2" data-urn="{urn}"><span class="update-components-actor__title">'
                f'<span aria-hidden="true">{name}</span></span><div class="update-components-text '
                f'update-components-update-v2__commentary"><span dir="ltr">{text}</span></div></div>'
                for urn, name, text in self.activity
            )
            script = f"setTimeout(() => {{ document.getElementById('all').innerHTML = {json.dumps(updates)} }}, 100)"
            return HTMLResponse(f"<html><body><main id='all'></main><script>{script}</script></body></html>")
        if path == "/authwall":
            return HTMLResponse("<html><body><h1>Sign in</h1></body></html>")
        return None

    def _site(self, path: str, request: Request) -> Response | None:
        if path == "/sitemap.xml":
            content = '<?xml version="1.0"?><sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
            return Response(
                f"{content}<sitemap><loc>https://ada.example/posts.xml.gz</loc></sitemap></sitemapindex>",
                media_type="application/xml",
            )
        if path == "/posts.xml.gz":
            lines = [
                (f"https://ada.example/{story.slug}", story.updated and story.updated.isoformat())
                for story in self.site
                if story.moved_to is None
            ]
            lines.append(("https://ada.example/", None))
            plain = bytes(sitemap(lines).body)
            return Response(gzip.compress(plain), media_type="application/gzip")
        if path == "/feed.xml":
            return rss("https://ada.example", self.site, lambda story: f"https://ada.example/{story.slug}")
        for story in self.site:
            if path == f"/{story.slug}":
                if story.moved_to:
                    return RedirectResponse(f"https://ada.example/{story.moved_to}", 301)
                return page(request, story.page(f"https://ada.example{path}"))
        return None


def tagged(request: Request, content: bytes, media_type: str) -> Response:
    """An answer with an ETag, or 304 for who has it."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"etag": tag})
    return Response(content, media_type=media_type, headers={"etag": tag})


def page(request: Request, markup: str) -> Response:
    """A page with an ETag."""
    return tagged(request, markup.encode(), "text/html; charset=utf-8")


def rss(link: str, stories: list[Story], url: Callable[[Story], str]) -> Response:
    """An RSS feed in WordPress's and Medium's manner."""
    items = "".join(
        f"<item><title>{xml(story.title)}</title><link>{url(story)}?source=rss-1------2</link>"
        f"<guid isPermaLink='false'>{link}/p/{story.id}</guid><dc:creator>{xml(story.author)}</dc:creator>"
        f"<pubDate>{format_datetime(story.published)}</pubDate>"
        f"<atom:updated>{(story.updated or story.published).isoformat()}</atom:updated>"
        + (
            f"<description>{xml('<p>Continue reading</p>')}</description>"
            if story.members_only
            else f"<content:encoded><![CDATA[{story.html}]]></content:encoded>"
        )
        + "</item>"
        for story in stories
    )
    head = (
        '<?xml version="1.0" encoding="UTF-8"?><rss xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:atom="http://www.w3.org/2005/Atom" '
        'version="2.0">'
    )
    content = f"{head}<channel><title>Ada</title><link>{link}</link>{items}</channel></rss>"
    return Response(content, media_type="text/xml; charset=UTF-8")


def sitemap(lines: list[tuple[str, str | None]]) -> Response:
    """A sitemap."""
    entries = "".join(
        f"<url><loc>{xml(url)}</loc>{f'<lastmod>{lastmod}</lastmod>' if lastmod else ''}</url>"
        for url, lastmod in lines
    )
    content = f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</urlset>'
    return Response(content, media_type="application/xml")
