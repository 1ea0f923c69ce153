"""A Mastodon account over the public interface of its instance: the author's own posts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from twin_resources.errors import SourceError
from twin_resources.network.response import JSON
from twin_resources.sources.base import Category, Item, Quarantined, RawDocument, Skipped, profile_of
from twin_resources.sources.network import NetworkSource, Verdict
from twin_resources.sources.registry import source
from twin_resources.text.dates import utc_or_none
from twin_resources.text.markup import parse_html, text_of
from twin_resources.text.urls import canonical_url

_ADDRESS = re.compile(r"@?([\w.-]+)@((?:[a-z0-9-]+\.)+[a-z0-9-]+)|https://((?:[a-z0-9-]+\.)+[a-z0-9-]+)/@([\w.-]+)/?")
_PAGE = 40
_MOST_PAGES = 2000


@source
class Mastodon(NetworkSource):
    """The public posts of ``@me@instance``, without boosts and, unless ``replies``, without replies to others.

    A reading asks for what is new; every ``full_days`` (7) all of it is read, which is when edits and removals show.
    """

    kind: ClassVar[str] = "mastodon"
    platform: ClassVar[str] = "mastodon"
    categories: ClassVar[tuple[Category, ...]] = ("posts",)
    options_allowed: ClassVar[tuple[str, ...]] = ("replies", "full_days", "hosts")
    deciding: ClassVar[tuple[str, ...]] = ("replies",)

    def hosts(self) -> tuple[str, ...]:
        """The instance, and those under ``hosts``."""
        return (self._account()[1], *super().hosts())

    def read(self) -> Iterator[Item]:
        """Yield one item a post, the newest first, and one for the account's bio.

        Raises:
            SourceError: there is no such account, or its instance cannot be had.
        """
        name, host = self._account()
        api = f"https://{host}/api/v1/accounts"
        account = self.ask(f"{api}/lookup?{urlencode({'acct': name})}", accept=JSON).json()
        cursor, now = self.memory.cursor, datetime.now(UTC)
        taken = datetime.fromisoformat(cursor["full_at"]) if cursor.get("full_at") else None
        whole = taken is None or now - taken >= timedelta(days=self.number("full_days", 7))
        query: dict[str, Any] = {"limit": _PAGE, "exclude_reblogs": "true"}
        if not self.flag("replies"):
            query["exclude_replies"] = "true"
        if not whole and cursor.get("newest"):
            query["since_id"] = cursor["newest"]
        newest = ""
        for _ in range(_MOST_PAGES):
            statuses = self.ask(f"{api}/{account['id']}/statuses?{urlencode(query)}", accept=JSON).json()
            if not statuses:
                break
            newest = newest or str(statuses[0]["id"])
            for status in statuses:
                yield self._post(status, str(account["id"]))
            query["max_id"] = statuses[-1]["id"]
        else:
            raise SourceError(f"{self.location}: the list of posts has no end; the next collection tries again")
        bio = str(account.get("note") or "")
        if bio.strip() and text_of(parse_html(bio)):
            yield profile_of(self.platform, self._profile(), bio, name="Mastodon", media_type="text/html")
        cursor["newest"] = newest or cursor.get("newest")
        if whole:
            cursor["full_at"] = now.isoformat()
            self.complete = True

    def confirm(self, url: str) -> Verdict:
        """A bio that two whole readings have not is gone, although its page is there; posts are asked for."""
        return "gone" if url == self._profile() else super().confirm(url)

    def _profile(self) -> str:
        name, host = self._account()
        return canonical_url(f"https://{host}/@{name}")

    def _post(self, status: Mapping[str, Any], account: str) -> Item:
        url = str(status.get("url") or status.get("uri") or "")
        if not url:
            return Quarantined(f"post {status.get('id')}", "has no address", "look at it on the instance")
        if status.get("reblog") or str((status.get("account") or {}).get("id", account)) != account:
            return Skipped(url, "repost")
        if status.get("visibility", "public") not in ("public", "unlisted"):
            return Skipped(url, "not_public")
        replied = status.get("in_reply_to_account_id")
        if replied not in (None, account) and not self.flag("replies"):
            return Skipped(url, "reply")
        body = str(status.get("content") or "")
        if not body.strip() or not text_of(parse_html(body)):
            return Skipped(url, "empty")
        details = {"spoiler": status.get("spoiler_text"), "language": status.get("language"),
                   "edited_at": status.get("edited_at")}  # fmt: skip
        return RawDocument(
            url=canonical_url(url),
            platform=self.platform,
            category="posts",
            media_type="text/html",
            body=body,
            published_at=utc_or_none(str(status.get("created_at") or "")),
            extra={key: value for key, value in details.items() if value},
        )

    def _account(self) -> tuple[str, str]:
        match = _ADDRESS.fullmatch(self.location)
        if match is None:
            raise SourceError(f"mastodon: write an address such as @me@mastodon.example, not {self.location!r}")
        name, host, other_host, other_name = match.groups()
        return name or other_name, host or other_host
