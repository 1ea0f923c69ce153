"""One saved web page as one article: its own text without the page around it, and what the page says of it.

What a page embeds as data is taken before what it shows: the Apollo cache of Medium, the preloads of Substack, then
JSON-LD, then the markup itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

from lxml.html import HtmlElement, document_fromstring

from twin_resources.errors import TwinError
from twin_resources.readers import page_body, page_state
from twin_resources.text.dates import utc_or_none
from twin_resources.text.markup import first, has_class, inner_html, parse_html, plain, text_of
from twin_resources.text.urls import canonical_url

_ARTICLE_TYPES = {
    "Article", "NewsArticle", "BlogPosting", "TechArticle", "SocialMediaPosting", "Report", "ScholarlyArticle",
    "OpinionNewsArticle", "AnalysisNewsArticle", "ReviewNewsArticle", "DiscussionForumPosting", "Posting", "WebPage",
}  # fmt: skip
_PRINTED = re.compile(r"(?:Published |Posted |on )*([A-Z][a-z]{2})[a-z]*\.? (\d{1,2}), (\d{4})$")
_BOT_CHECK = re.compile(r"^(?:just a moment|attention required|access denied|verify(?:ing)? you are human)\b", re.I)
_UPDATE = f"//*[{has_class('feed-shared-update-v2')} or @data-test-id='main-feed-activity-card']"
_COMMENTARY = (
    f".//*[{has_class('update-components-update-v2__commentary')}]",
    f".//*[{has_class('feed-shared-update-v2__description')}]",
    ".//*[@data-test-id='main-feed-activity-card__commentary']",
)
_RESHARED = (
    "ancestor::*[contains(@class, 'mini-update') or contains(@class, 'update-content-wrapper') or "
    "contains(@class, 'reshared')]"
)
_PREVIEW_WORDS = 120
_REMEDY = "save the page again once it shows the article, or import the article from an export"


class PageError(TwinError):
    """A page that holds no article a reader could use: ``reason`` says why, ``remedy`` what to do."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}; {remedy}")
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True)
class Page:
    """An article.

    ``url`` is its canonical address, ``also`` its other ones. ``body`` is HTML of the article's own text, without the
    title. Times are timezone-aware UTC. ``gated`` says that only a preview is here, the rest being for members.
    ``byline`` holds several authors divided by ``", "``. ``extra`` is JSON-serialisable.
    """

    url: str
    title: str | None
    subtitle: str | None
    byline: str | None
    published_at: datetime | None
    modified_at: datetime | None
    body: str
    also: tuple[str, ...]
    language: str | None
    gated: bool
    extra: Mapping[str, Any]


@dataclass
class _Facts:
    """What the head of a page says."""

    canonical: str | None = None
    shown: str | None = None
    title: str | None = None
    subtitle: str | None = None
    byline: str | None = None
    published: str = ""
    modified: str = ""
    language: str | None = None
    site: str | None = None
    body: str = ""
    free: bool = True
    tags: list[str] = field(default_factory=list)


def read_page(html: str, url: str) -> Page:
    """The article of a web page.

    Args:
        html: the page as served or saved.
        url: where it came from; the identity of the article when the page states none.

    Raises:
        PageError: no article can be read from it: no HTML, no text, a login wall, a bot check.
    """
    html = plain(html)
    try:
        tree = parse_html(html)
    except ValueError as problem:
        raise PageError(str(problem), _REMEDY) from problem
    facts = _facts(tree, url)
    found = page_state.medium(html, url) or page_state.substack(html)
    if found is None:
        found = _update(tree) or _shown(tree, facts)
        body = found.body
    else:
        body = _tidied(found, facts)
    if not re.sub(r"<(?!img\b)[^>]*>|\s", "", body):
        raise PageError("no text of an article in it", _REMEDY)
    canonical = _address(found.url, url) or facts.canonical or facts.shown or _address(url, url) or url
    itself = () if found.extra.get("kind") == "post" and "/posts/" not in url else (url,)
    others = (*found.also, facts.canonical, facts.shown, *itself)
    also = dict.fromkeys(
        address
        for other in others
        if (address := _address(other, url)) and canonical not in (address, address.partition("?")[0])
    )
    extra = {"site": facts.site, **({"tags": facts.tags} if facts.tags else {}), **found.extra}
    return Page(
        url=canonical,
        title=found.title or facts.title,
        subtitle=found.subtitle or facts.subtitle,
        byline=found.byline or facts.byline,
        published_at=found.published_at or utc_or_none(facts.published),
        modified_at=found.modified_at or utc_or_none(facts.modified),
        body=body,
        also=tuple(also),
        language=found.language or facts.language,
        gated=found.gated,
        extra={key: value for key, value in extra.items() if value},
    )


def _tidied(found: page_state.Embedded, facts: _Facts) -> str:
    """The body that a platform embeds, without the widgets in it and with the subtitle the page shows above it."""
    tree = document_fromstring(f"<html><body>{found.body}</body></html>").find("body")
    page_body.clean(tree, title=found.title)
    lead = found.subtitle or ""
    if lead and found.extra.get("type") and not text_of(tree).startswith(lead):
        paragraph = document_fromstring("<p></p>").find(".//p")
        paragraph.text = lead
        paragraph.tail, tree.text = tree.text, None
        tree.insert(0, paragraph)
    return inner_html(tree)


def _update(tree: HtmlElement) -> page_state.Embedded | None:
    """A LinkedIn post as its page draws it: only what the member wrote, not what they pass on."""
    update = first(tree, _UPDATE)
    if update is None:
        return None
    found = [part for xpath in _COMMENTARY for part in update.xpath(xpath) if not part.xpath(_RESHARED)]
    named = update.get("data-urn") or update.get("data-activity-urn") or ""
    urn = re.search(r"urn:li:(?:activity|share|ugcPost):\d+", named)
    actor = first(update, f".//*[{has_class('update-components-actor__title')}]//*[@aria-hidden='true']")
    if actor is None:
        actor = first(update, ".//*[@data-tracking-control-name='public_post_feed-actor-name']")
    if not found:
        if not text_of(update):
            return None
        raise PageError("a LinkedIn post without words of its own", "nothing to do: it only passes on someone's post")
    part = found[0]
    for control in part.xpath(".//button | .//svg | .//script | .//style"):
        control.drop_tree()
    for line_break in part.iter("br"):
        line_break.tail = "\n" + (line_break.tail or "")
    lines = "".join(part.itertext()).replace("\u00a0", " ")
    text = re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]*\n[ \t]*", "\n", lines)).strip()
    name = re.split(r"\s*[•·\n]", text_of(actor))[0].strip(" .") if actor is not None else ""
    paragraphs = text.split("\n\n")
    return page_state.Embedded(
        body="".join(f"<p>{_escaped(paragraph)}</p>" for paragraph in paragraphs if paragraph.strip()),
        url=f"https://www.linkedin.com/feed/update/{urn.group()}" if urn else None,
        byline=name or None,
        extra={"kind": "post", "reshares": bool(update.xpath(".//*[contains(@class, 'mini-update')]"))},
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").strip("\n").replace("\n", "<br>")


def _shown(tree: HtmlElement, facts: _Facts) -> page_state.Embedded:
    """The article as the page's markup shows it."""
    if _BOT_CHECK.match(facts.title or "") and len(text_of(tree.find("body"))) < 1500:
        raise PageError("a check for robots instead of the page", "open the page in a browser once, then save it there")
    login = bool(tree.xpath("//input[@type='password']"))
    wall = bool(tree.xpath("//*[contains(@class, 'paywall') or contains(@data-testid, 'paywall') or @id='paywall']"))
    members = bool(tree.xpath("//*[contains(@class, 'meteredContent')]"))
    links = page_body.embedded(tree)
    around = re.split(r"\s[|–—-]\s", text_of(first(tree, "//head/title")))[1:]
    names = [name for name in ((facts.byline or "").split(", ") + around) if name]
    body = page_body.find_body(
        tree, title=facts.title, subtitle=facts.subtitle, names=[*names, facts.site or ""], reference=facts.body
    )
    text = text_of(body)
    if login and len(text.split()) < 80:
        raise PageError("a login wall instead of the article", "sign in with your own account, or use an export")
    if body is None or not text:
        if len(facts.body.split()) < 20:
            raise PageError("no text of an article in it", _REMEDY)
        inner = "".join(f"<p>{_escaped(part)}</p>" for part in re.split(r"\n\s*\n", facts.body) if part.strip())
    else:
        inner = inner_html(body)
    short = len(text.split()) < _PREVIEW_WORDS
    gated = (wall and (short or not facts.free)) or (not facts.free and (short or members))
    return page_state.Embedded(body=inner, gated=gated, extra={"embedded": links})


def _facts(tree: HtmlElement, url: str) -> _Facts:
    facts = _Facts()
    for name in ("og:title", "twitter:title", "title"):
        facts.title = facts.title or _meta(tree, name)
    for name in ("og:description", "description", "twitter:description"):
        facts.subtitle = facts.subtitle or _meta(tree, name)
    facts.canonical = _address(first(tree, "//link[@rel='canonical']/@href"), url)
    facts.shown = _address(_meta(tree, "og:url"), url)
    facts.site = _meta(tree, "og:site_name")
    facts.published = _meta(tree, "article:published_time") or _meta(tree, "date") or ""
    facts.modified = _meta(tree, "article:modified_time") or ""
    author = _meta(tree, "author") or _meta(tree, "article:author") or ""
    facts.byline = author if author and "/" not in author else None
    language = tree.get("lang") or _meta(tree, "og:locale") or ""
    facts.language = re.split(r"[-_]", language.strip())[0].lower() or None
    for entry in _linked_data(tree):
        _add(facts, entry)
    named = f"//*[{has_class('entry-title')} or {has_class('post-title')} or {has_class('p-name')}]"
    headings = (first(tree, xpath) for xpath in ("//article//h1 | //main//h1", "//h1", named))
    heading = next((text for heading in headings if (text := text_of(heading).rstrip("¶# "))), "")
    stated = facts.title or text_of(first(tree, "//head/title"))
    facts.title = heading if heading and (not stated or heading.casefold() in stated.casefold()) else stated or None
    if not facts.published:
        times = "//article//time/@datetime | //main//time/@datetime | //time/@datetime"
        facts.published = str(first(tree, times) or "") or _printed_date(tree)
    if not facts.byline:
        named = (
            f"*[{has_class('p-author')}] | //article//*[@rel='author'] | //*[@itemprop='author']//*[@itemprop='name']"
        )
        card = f"//article//header//*[{has_class('base-main-card__title')}]"
        written = first(tree, f"//{named} | {card}")
        facts.byline = text_of(written)[:80] or None if written is not None else None
    if facts.byline:
        facts.byline = re.sub(r"^(?:written |posted )?by:? ", "", facts.byline, flags=re.I)
    return facts


def _printed_date(tree: HtmlElement) -> str:
    """The first date in English that stands alone in a line of the page, as ISO; empty where there is none."""
    around = first(tree, "//article | //main | //body")
    for text in around.itertext() if around is not None else ():
        match = _PRINTED.match(" ".join(str(text).split()))
        if match:
            with suppress(ValueError):
                return datetime.strptime(" ".join(match.groups()), "%b %d %Y").date().isoformat()
    return ""


def _add(facts: _Facts, entry: Mapping[str, Any]) -> None:
    headline = entry.get("headline") or entry.get("name")
    if isinstance(headline, str) and headline.strip() and entry.get("@type") != "WebPage":
        facts.title = " ".join(headline.split())
    names = [name for author in _listed(entry.get("author")) if (name := _name(author))]
    if names:
        facts.byline = ", ".join(dict.fromkeys(names))
    for key, attribute in (("datePublished", "published"), ("dateModified", "modified")):
        if isinstance(entry.get(key), str) and entry[key].strip():
            setattr(facts, attribute, entry[key])
    body = entry.get("articleBody")
    if isinstance(body, str) and len(body) > len(facts.body):
        facts.body = text_of(document_fromstring(f"<p>{body}</p>")) if re.search(r"</\w+>", body) else body
    if str(entry.get("isAccessibleForFree", True)).lower() == "false":
        facts.free = False
    keywords = entry.get("keywords")
    words = keywords.split(",") if isinstance(keywords, str) else _listed(keywords)
    facts.tags = [tag.strip() for tag in words if isinstance(tag, str) and tag.strip()] or facts.tags
    if isinstance(entry.get("inLanguage"), str):
        facts.language = facts.language or entry["inLanguage"].split("-")[0].lower() or None


def _linked_data(tree: HtmlElement) -> Iterator[Mapping[str, Any]]:
    """The JSON-LD objects of a page that describe an article."""
    for script in tree.xpath("//script[@type='application/ld+json']"):
        text = re.sub(r"\A\s*<!\[CDATA\[|\]\]>\s*\Z", "", script.text or "")
        try:
            loaded = plain(json.loads(text, strict=False))
        except (ValueError, RecursionError):
            continue
        for entry in _listed(loaded):
            for inner in _listed(entry.get("@graph")) if isinstance(entry, dict) and "@graph" in entry else [entry]:
                if isinstance(inner, dict) and _ARTICLE_TYPES & {str(kind) for kind in _listed(inner.get("@type"))}:
                    yield inner


def _meta(tree: HtmlElement, name: str) -> str | None:
    for key in ("property", "name", "itemprop"):
        found = tree.xpath(f"//meta[@{key}=$name]/@content", name=name)
        for value in found:
            if value.strip():
                return " ".join(value.split())
    return None


def _name(author: Any) -> str:
    name = author.get("name") if isinstance(author, dict) else author
    return " ".join(name.split()) if isinstance(name, str) and "://" not in name else ""


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _address(link: Any, base: str) -> str | None:
    """``link`` as a canonical address, or None where it is none."""
    if not isinstance(link, str) or not link.strip():
        return None
    try:
        absolute = urljoin(base, link.strip())
        return canonical_url(absolute) if absolute.startswith(("http://", "https://")) else None
    except ValueError:
        return None
