"""LinkedIn's Member Data Portability API: the member's own posts, on a schedule and with LinkedIn's leave.

Source: Microsoft Learn, "Member Data Portability", the calls Member Snapshot and Member Changelog. It is for members in
the European Economic Area and Switzerland; the change log reaches back 28 days.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from twin_resources.errors import SourceError
from twin_resources.network.addresses import joined
from twin_resources.network.response import JSON
from twin_resources.sources.base import Category, Item, Quarantined, RawDocument, Skipped
from twin_resources.sources.linkedin import profile_in, share_of, undo_line_quotes
from twin_resources.sources.network import NetworkSource, Verdict
from twin_resources.sources.registry import source
from twin_resources.text.csv_tables import Row
from twin_resources.text.urls import canonical_url

API = "https://api.linkedin.com/rest"
VERSION = "202312"
_SHARES, _PROFILE = "MEMBER_SHARE_INFO", "PROFILE"
_LOG_DAYS = 27
_LOG_PAGE = 10
_MOST_PAGES = 1000
_POSTS = ("ugcPosts", "shares", "posts")


@source
class LinkedInPortability(NetworkSource):
    """The member's posts and profile: all of it by snapshot, then what is new by change log, then all again after a
    week.

    The location is a name for the account, ``linkedin: me``; the token says whose it is. ``snapshot_days`` (7) is how
    often everything is read again, which is when removed posts are noticed. ``version`` is the header
    ``LinkedIn-Version``.
    """

    kind: ClassVar[str] = "linkedin"
    platform: ClassVar[str] = "linkedin"
    categories: ClassVar[tuple[Category, ...]] = ("posts",)
    own_hosts: ClassVar[tuple[str, ...]] = ("api.linkedin.com",)
    apis: ClassVar[tuple[str, ...]] = ("api.linkedin.com",)
    credential: ClassVar[str | None] = "TWIN_LINKEDIN_TOKEN"
    credential_help: ClassVar[str] = (
        "as a member in the EEA or Switzerland, make an app with the product Member Data Portability API (Member) at "
        "https://www.linkedin.com/developers, take a token with the scope r_dma_portability_self_serve from its token "
        "generator, and set it as TWIN_LINKEDIN_TOKEN; elsewhere use the data export as linkedin_export"
    )
    options_allowed: ClassVar[tuple[str, ...]] = ("snapshot_days", "version", "hosts")

    def secrets(self) -> Mapping[str, Mapping[str, str]]:
        """The member's token, for LinkedIn's interface alone."""
        token = self.token()
        return {"api.linkedin.com": {"authorization": f"Bearer {token}"}} if token else {}

    def read(self) -> Iterator[Item]:
        """Yield one item a post of the snapshot, or one a change since the last reading.

        Raises:
            SourceError: there is no token, LinkedIn refuses it, or the interface cannot be had.
        """
        if self.token() is None:
            raise SourceError(f"linkedin {self.location}: TWIN_LINKEDIN_TOKEN is not set; {self.credential_help}")
        cursor = self.memory.cursor
        now = datetime.now(UTC)
        processed = int(cursor.get("processed_at") or 0)
        taken = datetime.fromisoformat(cursor["snapshot_at"]) if cursor.get("snapshot_at") else None
        oldest = int((now - timedelta(days=_LOG_DAYS)).timestamp() * 1000)
        age = timedelta(days=self.number("snapshot_days", 7))
        if taken is None or now - taken >= age or processed < oldest:
            # The log goes on from before the snapshot: what happens meanwhile is then read twice rather than never.
            yield from self._snapshot()
            cursor.update(snapshot_at=now.isoformat(), processed_at=int(now.timestamp() * 1000))
            self.complete = True
        else:
            yield from self._changes(processed)

    def confirm(self, url: str) -> Verdict:
        """A post that two whole snapshots have not is gone; its page cannot be asked without a login."""
        return "gone"

    def remedy_for_wall(self) -> str:
        """How to get a token."""
        return self.credential_help

    def _headers(self) -> dict[str, str]:
        return {"linkedin-version": str(self.options.get("version", VERSION)), "x-restli-protocol-version": "2.0.0"}

    def _snapshot(self) -> Iterator[Item]:
        rows = list(self._rows(_SHARES))
        texts = undo_line_quotes(row.get("sharecommentary", "") for row in rows)
        seen: set[str] = set()
        for number, (fields, text) in enumerate(zip(rows, texts, strict=True), start=1):
            item = f"{_SHARES} {number}"
            try:
                found = share_of(item, Row(number, {"date": "", "sharelink": "", **fields}), text)
            except ValueError as problem:
                found = Quarantined(item, str(problem), "nothing to do, or use the data export")
            if isinstance(found, RawDocument):
                if found.url in seen:
                    found = Skipped(item, "duplicate_url", found.url)
                else:
                    seen.add(found.url)
            yield found
        for fields in itertools.islice(self._rows(_PROFILE), 1):
            yield profile_in(fields)

    def _rows(self, domain: str) -> Iterator[dict[str, str]]:
        """The rows of a domain over all its pages, with column names in lower case and without spaces.

        LinkedIn answers 404 behind the last page, and for a domain in which the member has nothing.
        """
        at: str | None = f"{API}/memberSnapshotData?{urlencode({'q': 'criteria', 'domain': domain, 'start': 0})}"
        for page in range(_MOST_PAGES):
            answer = self.client.get(at, accept=JSON, headers=self._headers()) if at else None
            if answer is None or answer.status == 404:
                return
            found = self.need(answer).json()
            elements = found.get("elements") or []
            for element in elements:
                for row in element.get("snapshotData") or ():
                    yield {str(key).replace(" ", "").lower(): str(value or "") for key, value in row.items()}
            links = (found.get("paging") or {}).get("links") or []
            following = next((link.get("href") for link in links if link.get("rel") == "next"), None)
            at = joined(f"{API}/", str(following)) if following else None
            if not elements or page == _MOST_PAGES - 1:
                return

    def _changes(self, since: int) -> Iterator[Item]:
        """What was posted or edited after ``since`` (milliseconds); a removal shows in the next snapshot."""
        seen: set[str] = set()
        for _ in range(_MOST_PAGES):
            query = urlencode({"q": "memberAndApplication", "startTime": since, "count": _LOG_PAGE})
            answer = self.ask(f"{API}/memberChangeLogs?{query}", accept=JSON, headers=self._headers())
            events = [event for event in answer.json().get("elements") or () if str(event.get("id")) not in seen]
            for event in events:
                seen.add(str(event.get("id")))
                since = max(since, int(event.get("processedAt") or 0))
                yield self._event(event)
            self.memory.cursor["processed_at"] = since
            if not events:
                return

    def _event(self, event: Mapping[str, Any]) -> Item:
        name, method = str(event.get("resourceName") or ""), str(event.get("method") or "")
        urn = str(event.get("resourceId") or "")
        item = f"{name} {urn}"
        if name not in _POSTS:
            return Skipped(item, "not_a_post", name[:40])
        if method == "DELETE":
            return Skipped(item, "deleted", "leaves with the next snapshot")
        activity = event.get("processedActivity") or event.get("activity") or {}
        urn = str(activity.get("id") or urn)
        if event.get("owner") and activity.get("author") and activity["author"] != event["owner"]:
            return Skipped(item, "other_author", str(activity["author"])[:80])
        content = (activity.get("specificContent") or {}).get("com.linkedin.ugc.ShareContent") or {}
        text = str((content.get("shareCommentary") or {}).get("text") or activity.get("commentary") or "")
        if not text.strip():
            return Skipped(item, "repost")
        if not urn.startswith("urn:li:"):
            return Quarantined(item, "names no post", "nothing to do: the next snapshot has it")
        created = (activity.get("created") or {}).get("time") or event.get("capturedAt")
        return RawDocument(
            url=canonical_url(f"https://www.linkedin.com/feed/update/{urn}"),
            platform=self.platform,
            category="posts",
            media_type="text/plain",
            body=text,
            published_at=datetime.fromtimestamp(int(created) / 1000, UTC) if created else None,
        )
