"""The articles that Medium and Substack embed in their own pages as data, for the script that draws the page.

What is embedded is more exact than the markup around it: no buttons, no recommendations, code with its language.
"""

from __future__ import annotations

import html as markup
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from twin_resources.text.dates import utc_or_none
from twin_resources.text.markup import plain

_MEDIUM_ID = re.compile(r"(?:^|[-/])([0-9a-f]{8,12})(?:[/?#]|$)")
_TAGS = {"H1": "h2", "H2": "h2", "H3": "h3", "H4": "h4", "BQ": "blockquote", "PQ": "blockquote"}
_LISTS = {"ULI": "ul", "OLI": "ol"}
_MARKS = {"STRONG": "strong", "EM": "em", "CODE": "code"}
_FULL = 0.8
"""Share of the words Substack counts in a post, below which a paid post is only its preview."""


@dataclass(frozen=True)
class Embedded:
    """An article as embedded data gives it; fields as in :class:`twin_resources.readers.page.Page`."""

    body: str
    url: str | None = None
    title: str | None = None
    subtitle: str | None = None
    byline: str | None = None
    published_at: datetime | None = None
    modified_at: datetime | None = None
    also: tuple[str, ...] = ()
    language: str | None = None
    gated: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


def assigned(html: str, name: str) -> Any | None:
    """The value a script of the page assigns to ``window.<name>``: a literal, or ``JSON.parse("…")``; None if none."""
    for match in re.finditer(re.escape(name) + r"""["']?\]?\s*=\s*(JSON\.parse\(\s*)?(?=[{\["])""", html):
        try:
            value, _ = json.JSONDecoder().raw_decode(html, match.end())
            return plain(json.loads(value) if match.group(1) else value)
        except (ValueError, TypeError, RecursionError):
            continue
    return None


def medium(html: str, url: str) -> Embedded | None:
    """The story in the Apollo cache of a Medium page; None where there is none."""
    state = assigned(html, "__APOLLO_STATE__")
    if not isinstance(state, dict):
        return None
    try:
        return _story(state, url)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def substack(html: str) -> Embedded | None:
    """The post in the preloads of a Substack page; None where there is none."""
    data = assigned(html, "_preloads")
    if not isinstance(data, dict) or not isinstance(data.get("post"), dict):
        return None
    post = data["post"]
    body = post.get("body_html") or post.get("truncated_body_html")
    if not isinstance(body, str) or not body.strip():
        return None
    bylines = [
        line["name"]
        for line in _dicts(post.get("publishedBylines"))
        if isinstance(line.get("name"), str) and line["name"].strip()
    ]
    tags = [tag["name"] for tag in _dicts(post.get("postTags")) if isinstance(tag.get("name"), str)]
    paid = post.get("audience") not in (None, "everyone")
    words = len(re.sub(r"<[^>]*>", " ", body).split())
    counted = post.get("wordcount")
    short = words < _FULL * counted if isinstance(counted, int) else 'class="paywall' in html
    facts = {"type": post.get("type"), "audience": post.get("audience"), "slug": post.get("slug"), "tags": tags}
    return Embedded(
        body=body,
        url=_text(post.get("canonical_url")) or _text(data.get("canonicalUrl")),
        title=_text(post.get("title")),
        subtitle=_text(post.get("subtitle")),
        byline=", ".join(bylines) or None,
        published_at=utc_or_none(str(post.get("post_date") or "")),
        modified_at=utc_or_none(str(post.get("updated_at") or "")),
        language=_text(data.get("language")),
        gated=not post.get("body_html") or (paid and short),
        extra={key: value for key, value in facts.items() if isinstance(value, str | list) and value},
    )


def _story(state: Mapping[str, Any], url: str) -> Embedded | None:
    def follow(value: Any) -> Any:
        """What a reference of the cache, in its old or new form, stands for."""
        for _ in range(8):
            if not isinstance(value, dict):
                return value
            key = value.get("__ref") or (value.get("id") if value.get("type") == "id" else None)
            if not isinstance(key, str) or key not in state:
                return value
            value = state[key]
        return value

    def content_of(post: Mapping[str, Any]) -> Mapping[str, Any]:
        contents = [follow(post[key]) for key in post if key == "content" or key.startswith("content(")]
        return next((content for content in contents if isinstance(content, dict) and content.get("bodyModel")), {})

    posts = {
        key.removeprefix("Post:"): value
        for key, value in state.items()
        if key.startswith("Post:") and isinstance(value, dict) and content_of(value)
    }
    wanted = _MEDIUM_ID.findall(url)
    post = next((posts[identifier] for identifier in wanted if identifier in posts), None)
    if post is None and len(posts) == 1:
        post = next(iter(posts.values()))
    if post is None:
        return None
    content = content_of(post)
    model = follow(content["bodyModel"])
    paragraphs = [follow(entry) for entry in model["paragraphs"]]
    paragraphs = [entry for entry in paragraphs if isinstance(entry, dict)]
    title = _text(post.get("title"))
    first = next((index for index, entry in enumerate(paragraphs) if _text(entry.get("text"))), None)
    starts = {
        section.get("startIndex") for section in map(follow, model.get("sections") or []) if isinstance(section, dict)
    }
    if first is not None and title and _same(paragraphs[first].get("text"), title):
        paragraphs[first] = {**paragraphs[first], "text": "", "type": "P"}
    body = "".join(_paragraphs(paragraphs, {start for start in starts if start}, follow))
    if not body:
        return None
    urls = [found for key in ("canonicalUrl", "mediumUrl") if (found := _text(post.get(key)))]
    creator = follow(post.get("creator")) or {}
    publication = follow(post.get("collection")) or {}
    tags = [str(tag.get("displayTitle") or tag.get("id") or "") for tag in map(follow, post.get("tags") or [])]
    preview = follow(post.get("extendedPreviewContent") or post.get("previewContent")) or {}
    extra = {
        "post_id": _text(post.get("id")),
        "publication": _text(publication.get("name")),
        "tags": [tag.removeprefix("Tag:") for tag in tags if tag],
        "response": bool(post.get("inResponseToPostResult") or post.get("inResponseToPost")) or None,
    }
    return Embedded(
        body=body,
        url=urls[0] if urls else None,
        title=title,
        subtitle=_text(preview.get("subtitle")),
        byline=_text(creator.get("name")),
        published_at=_moment(post.get("firstPublishedAt")),
        modified_at=_moment(post.get("latestPublishedAt") or post.get("updatedAt")),
        also=tuple(urls[1:]),
        language=_text(post.get("detectedLanguage")),
        gated=content.get("isLockedPreviewOnly") is True,
        extra={key: value for key, value in extra.items() if value},
    )


def _paragraphs(entries: Sequence[Mapping[str, Any]], starts: set[Any], follow: Any) -> Iterator[str]:
    """HTML of a story's paragraphs; neighbouring list items and lines of code are one block."""
    numbered = list(enumerate(entries))
    for kind, group in groupby(numbered, key=lambda pair: (pair[1].get("type"), pair[0] in starts and pair[0])):
        run = list(group)
        if run[0][0] in starts:
            yield "<hr>"
        if kind[0] in _LISTS:
            items = "".join(f"<li>{_marked(entry, follow)}</li>" for _, entry in run if entry.get("text"))
            yield f"<{_LISTS[kind[0]]}>{items}</{_LISTS[kind[0]]}>"
        elif kind[0] == "PRE":
            yield from _code(run)
        else:
            for _, entry in run:
                yield _paragraph(entry, follow)


def _code(run: Sequence[tuple[int, Mapping[str, Any]]]) -> Iterator[str]:
    for language, group in groupby(run, key=lambda pair: (pair[1].get("codeBlockMetadata") or {}).get("lang") or ""):
        code = "\n\n".join(str(entry.get("text") or "") for _, entry in group)
        if code.strip():
            name = f' class="language-{markup.escape(str(language))}"' if language else ""
            yield f"<pre><code{name}>{markup.escape(code, quote=False)}</code></pre>"


def _paragraph(entry: Mapping[str, Any], follow: Any) -> str:
    kind, text = entry.get("type"), _marked(entry, follow)
    if kind == "IMG":
        image = follow(entry.get("metadata")) or {}
        name, alt = str(image.get("id") or ""), str(image.get("alt") or "")
        caption = f"<figcaption>{text}</figcaption>" if text else ""
        source = f"https://miro.medium.com/{name}" if re.fullmatch(r"[\w*.%-]+", name) else ""
        picture = f'<img src="{source}" alt="{markup.escape(alt)}">' if source or alt else ""
        return f"<figure>{picture}{caption}</figure>" if picture or caption else ""
    if kind == "IFRAME":
        media = follow((follow(entry.get("iframe")) or {}).get("mediaResource")) or {}
        target, name = _text(media.get("href")), _text(media.get("title"))
        link = f'<p><a href="{markup.escape(target)}">{markup.escape(name)}</a></p>' if target and name else ""
        return link + (f"<figcaption>{text}</figcaption>" if text else "")
    if kind == "MIXTAPE_EMBED":
        target = _text((follow(entry.get("mixtapeMetadata")) or {}).get("href"))
        name = str(entry.get("text") or "").split("\n", 1)[0].strip()
        return f'<p><a href="{markup.escape(target)}">{markup.escape(name)}</a></p>' if target and name else ""
    if not text:
        return ""
    tag = _TAGS.get(str(kind), "p")
    style = ' class="pullquote"' if kind == "PQ" else ""
    return f"<{tag}{style}>{text}</{tag}>"


def _marked(entry: Mapping[str, Any], follow: Any) -> str:
    """The text of a paragraph with its links and emphasis; offsets count UTF-16 units, as in JavaScript."""
    text = str(entry.get("text") or "")
    units = text.encode("utf-16-le", errors="surrogatepass")
    size = len(units) // 2
    marks = []
    for mark in map(follow, entry.get("markups") or []):
        if isinstance(mark, dict) and isinstance(mark.get("start"), int) and isinstance(mark.get("end"), int):
            start, end = max(0, mark["start"]), min(size, mark["end"])
            if start < end:
                marks.append((start, end, mark))

    def plain(start: int, end: int) -> str:
        piece = units[2 * start : 2 * end].decode("utf-16-le", errors="replace")
        return markup.escape(piece, quote=False).replace("\n", "<br>")

    def render(start: int, end: int, inside: list[tuple[int, int, Any]]) -> str:
        if not inside:
            return plain(start, end)
        opens, closes, mark = min(inside, key=lambda entry: (entry[0], -entry[1]))
        rest = [entry for entry in inside if entry[2] is not mark]
        within = [(max(a, opens), min(b, closes), m) for a, b, m in rest if a < closes and b > opens]
        beyond = [(max(a, closes), b, m) for a, b, m in rest if b > closes]
        before, after = _wrapping(mark)
        return plain(start, opens) + before + render(opens, closes, within) + after + render(closes, end, beyond)

    return render(0, size, marks) if size else ""


def _wrapping(mark: Mapping[str, Any]) -> tuple[str, str]:
    if mark.get("type") == "A":
        target = _text(mark.get("href"))
        if not target and mark.get("userId"):
            target = f"https://medium.com/u/{mark['userId']}"
        return (f'<a href="{markup.escape(target)}">', "</a>") if target else ("", "")
    tag = _MARKS.get(str(mark.get("type")))
    return (f"<{tag}>", f"</{tag}>") if tag else ("", "")


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return " ".join(value.split()) or None if isinstance(value, str) else None


def _same(first: Any, second: str) -> bool:
    return re.findall(r"\w+", str(first or "").casefold()) == re.findall(r"\w+", second.casefold())


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(value / 1000, UTC) if isinstance(value, int | float) and value > 0 else None
    except (OverflowError, OSError, ValueError):
        return None
