"""A member's own activity page on LinkedIn, read in a browser: the last resort, and off unless it is switched on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from lxml.html import HtmlElement

from twin_resources.errors import SourceError
from twin_resources.network.browser import open_browser
from twin_resources.sources.base import Category, Item, Quarantined, RawDocument, Skipped
from twin_resources.sources.network import NetworkSource, is_login
from twin_resources.sources.registry import source
from twin_resources.text.markup import first, has_class, inner_html, parse_html, text_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

WARNING = (
    "LinkedIn's user agreement forbids automated access to its pages, your own included, and LinkedIn may restrict "
    "your account for it. The data export (linkedin_export, linkedin_inbox) and the Member Data Portability API "
    "(linkedin) give the same posts with LinkedIn's leave."
)
_MEMBER = re.compile(r"(?:https://www\.linkedin\.com/in/)?([\w%.-]{1,100})/?(?:recent-activity/.*)?")
_URN = re.compile(r"urn:li:(?:activity|ugcPost|share):\d+")


@source
class LinkedInActivity(NetworkSource):
    """The posts on ``linkedin.com/in/<me>/recent-activity/all/`` as the signed-in member sees them.

    It does nothing until ``i_understand: true`` stands beside it, and needs ``browser_state``, the file that
    ``twin login linkedin`` saved. Reposts and what others wrote are skipped.
    """

    kind: ClassVar[str] = "linkedin_activity"
    platform: ClassVar[str] = "linkedin"
    categories: ClassVar[tuple[Category, ...]] = ("posts",)
    own_hosts: ClassVar[tuple[str, ...]] = ("www.linkedin.com", "static.licdn.com")
    # robots.txt forbids every program; the member opens the own page, in a browser, after the warning above.
    apis: ClassVar[tuple[str, ...]] = ("www.linkedin.com", "static.licdn.com")
    options_allowed: ClassVar[tuple[str, ...]] = ("i_understand", "browser_state", "hosts")

    def wants(self, folder: Path) -> Iterator[tuple[bool, str, str]]:
        """The member's word, and a saved state."""
        if not self.flag("i_understand"):
            yield False, f"off. {WARNING}", "use another way, or add `i_understand: true`"
        else:
            yield False, WARNING, "prefer the export or the interface"
            if not self.options.get("browser_state"):
                yield True, "no browser_state is named", "twin login linkedin"
        yield from super().wants(folder)

    def read(self) -> Iterator[Item]:
        """Yield one item a post.

        Raises:
            SourceError: it is not switched on, no browser state is named, or the state is not signed in any more.
        """
        match = _MEMBER.fullmatch(self.location)
        if match is None:
            raise SourceError(f"linkedin_activity: write the name in your profile's address, not {self.location!r}")
        if not self.flag("i_understand"):
            raise SourceError(f"linkedin_activity is off. {WARNING} To use it nevertheless, add `i_understand: true`")
        named = self.options.get("browser_state")
        if not named:
            raise SourceError("linkedin_activity: name the file that `twin login linkedin` saved as `browser_state:`")
        url = f"https://www.linkedin.com/in/{match.group(1)}/recent-activity/all/"
        found: dict[str, Item] = {}

        def take(page: Page) -> int:
            if is_login(page.url):
                raise SourceError("linkedin_activity: the browser state is not signed in any more; twin login linkedin")
            for item in posts_of(page.content(), self):
                found.setdefault(item.item if isinstance(item, Skipped | Quarantined) else item.url, item)
            return len(found)

        with open_browser(self.client, self.folder / Path(str(named)).expanduser()) as browser:
            browser.scroll(url, take)
        self.fetched += 1
        yield from found.values()


def posts_of(markup: str, opened: NetworkSource) -> Iterator[RawDocument | Skipped | Quarantined]:
    """The posts on a page of activity, by LinkedIn's own class names."""
    for update in parse_html(markup).xpath(f"//*[{has_class('feed-shared-update-v2')}][@data-urn]"):
        urn = str(update.get("data-urn"))
        if not _URN.fullmatch(urn):
            yield Skipped(urn[:80], "not_a_post")
            continue
        url = f"https://www.linkedin.com/feed/update/{urn}"
        header = text_of(first(update, f".//*[{has_class('update-components-header')}]"))
        name = _name(update)
        if header:
            yield Skipped(url, "repost", header[:120])
        elif name and not opened.author.is_named(name):
            yield Skipped(url, "other_author", name)
        else:
            yield _post(url, update, name, opened.platform)


def _post(url: str, update: HtmlElement, name: str, platform: str) -> RawDocument | Skipped:
    text = first(update, f".//*[{has_class('update-components-update-v2__commentary')}]")
    if text is None or not text_of(text):
        return Skipped(url, "repost", "no words of the member's own")
    return RawDocument(
        url=url,
        platform=platform,
        category="posts",
        media_type="text/html",
        body=inner_html(text),
        byline=name or None,
    )


def _name(update: HtmlElement) -> str:
    title = first(update, f".//*[{has_class('update-components-actor__title')}]//*[@aria-hidden='true']")
    return text_of(title).rstrip(" .")
