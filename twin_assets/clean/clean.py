"""Cleaning that keeps what a writer wrote: headings, lists, code, quotes and apostrophes stay, page boilerplate goes.

The output is Markdown (or the code as it is). Nothing is lower-cased, stripped of punctuation or rewrapped into another
style, because the style is what the twin has to learn.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from bs4 import BeautifulSoup, Tag
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdownify import MarkdownConverter

from twin_assets.clean.footnotes import mark_footnotes, write_footnotes
from twin_resources.text.markup import visible_text
from twin_resources.text.pii import scrub
from twin_resources.text.widgets import EMBEDDED_POSTS, IN_EXPORTS
from twin_resources.text.words import plain_words

CODE_VERSION = "3"

_WIDTH = 78
"""At which html2text, by which such texts are often made, wraps lines."""
_HEADING_LINES = 3
"""More lines than that right behind a heading are a paragraph."""

MIN_WORDS = {"articles": 4, "posts": 4, "code": 4}

_SHARE = ("Share this post", "Copy link", "Facebook", "Email", "Note", "Notes", "Other", "More", "Share", "Twitter")
_HEAD = (
    "Sign in",
    "Sign up",
    "SubscribeSign in",
    "Subscribe",
    "Open in app",
    "Sign inSign up",
    "Listen",
    "Member-only story",
)
_NAME = re.compile(r"^[^\W\d_][\w.'’-]*(?: [^\W\d_][\w.'’-]*){0,3}$")
_APP_BAR = re.compile(
    r"[^\n]{0,300}?Open in app ?Sign up ?Sign in ?Write ?Sign up ?Sign in(?:Top highlight)?"
    r"(?:[^\n]{0,500}?·Follow"
    r"(?:Published in[^\n]{0,80}?·\d+ min read·[A-Z][a-z]{2} \d{1,2}, \d{4}[\d.K]*ListenShare)?)?"
)
_DISCUSSION = re.compile(r"^#{1,6} +Discussion about this (post|episode|podcast)", re.I)
_DATE = re.compile(r"^(?:[A-Z][a-z]{2,8} \d{1,2}, \d{4}|\d{1,2} [A-Z][a-z]{2,8} \d{4}|∙ ?Paid|\d{1,6})$")
_BYLINE = re.compile(
    r"^(?:\*|_|\[)*(?:written |guest post |a guest post )?by:? +\[?([A-Z][\w.'’-]+(?: [A-Z][\w.'’-]+){1,3})\b", re.I
)
_DROPPED_TAGS = ("script", "style", "noscript", "svg", "button", "form", "input", "nav", "footer", "header", "iframe")
_LANGUAGE = re.compile(r"(?:language-|lang-|lang:|highlight-source-|brush:)([A-Za-z0-9+#.-]{1,20})")


@dataclass(frozen=True)
class CleanText:
    """A cleaned document. ``kept_share`` is the share of the source's words outside boilerplate that ``text`` keeps."""

    title: str
    text: str
    words: int
    kept_share: float
    byline: str | None = None
    removed: Mapping[str, Any] = field(default_factory=dict)
    """Reason to {count, sample}."""


def clean(
    body: str,
    media_type: str,
    *,
    title: str | None = None,
    category: str = "articles",
    byline: str | None = None,
    names: bool = False,
    keep: Iterable[str] = (),
) -> CleanText:
    """Clean one document.

    Args:
        body: the source text in ``media_type``.
        title: the platform's title; where there is none, the first heading or the opening words serve.
        byline: who the platform says wrote it; a line "by Jonas Ek" at the head of the text says so too.
        names: take the names of people other than ``keep`` out as well.

    Raises:
        ScrubError: ``names``, and what finds them is not installed.
    """
    removed: dict[str, dict[str, Any]] = {}
    source_words = _bag(_visible(body, media_type))
    if media_type == "text/html":
        text = _from_html(body, removed)
    elif media_type == "text/markdown":
        text = _from_markdown(body, removed)
    else:
        text = _newlines(body)
    text = _tidy(text, keep_indent=True)
    named = None
    if media_type != "text/x-code" and category == "articles":
        text, named = _without_boilerplate(text, removed)
    kept = _bag(_visible(text, "text/markdown" if media_type != "text/x-code" else media_type))
    boilerplate = Counter(word for reason in removed.values() for word in reason.pop("words", ()))
    expected = source_words - boilerplate
    share = (kept & expected).total() / expected.total() if expected.total() else 1.0
    text, found = scrub(text, names=names, keep=keep)
    title, in_title = scrub(title or "", names=names, keep=keep)
    chosen, text = _title(title, text, category)
    for reason, count in (found + in_title).items():
        removed[reason] = {"count": count, "sample": ""}
    byline = byline or named or _byline(text)
    return CleanText(chosen, text, len(text.split()), round(share, 4), byline, removed)


def _newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\ufeff", "")


def _tidy(text: str, *, keep_indent: bool) -> str:
    lines = [line.rstrip() if not line.endswith("  ") else line.rstrip() + "  " for line in _newlines(text).split("\n")]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(line if line.strip() else "" for line in lines))
    return text.strip("\n") if keep_indent else text.strip()


class _Converter(MarkdownConverter):
    """Markdown with fenced code that keeps its language, and links and emphasis as the author set them."""

    def convert_pre(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        for line_break in el.find_all("br"):
            line_break.replace_with("\n")
        code = el.get_text().strip("\n")
        if not code.strip():
            return ""
        language = _code_language(el)
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", code)), default=0))
        return f"\n\n{fence}{language}\n{code}\n{fence}\n\n"

    def convert_img(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        alt = str(el.get("alt") or "").strip()
        return f"![{alt}]({el.get('src') or ''})" if alt else ""

    def convert_p(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return re.sub(r"\A(\s*)(?=#{1,6} |>)", r"\1\\", super().convert_p(el, text, parent_tags))  # pyright: ignore[reportAttributeAccessIssue]

    def convert_td(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return super().convert_td(el, _cell(text), parent_tags)  # pyright: ignore[reportAttributeAccessIssue]

    def convert_th(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return super().convert_th(el, _cell(text), parent_tags)  # pyright: ignore[reportAttributeAccessIssue]


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", text)


def _code_language(block: Tag) -> str:
    """The language a code block states: itself, in the code inside, or in the box around it; empty for none."""
    around = [parent for parent in list(block.parents)[:2] if len(parent.find_all("pre")) == 1]
    for node in (block, *block.find_all("code"), *around):
        for key in ("data-code-block-lang", "data-language", "data-lang", "lang"):
            named = str(node.get(key) or "")
            if named and (key != "lang" or node is block):
                match = _LANGUAGE.fullmatch(named)
                return _fence_name(match.group(1) if match else named)
        for name in node.get_attribute_list("class"):
            if name and (match := _LANGUAGE.fullmatch(str(name))):
                return _fence_name(match.group(1))
    return ""


def _fence_name(language: str) -> str:
    return "" if language in ("none", "plaintext", "auto") or not re.fullmatch(r"[\w+#.-]+", language) else language


def _from_html(body: str, removed: dict[str, dict[str, Any]]) -> str:
    soup = BeautifulSoup(body, "lxml")
    for tag in soup.find_all(("header", "footer")):
        if tag.find_parent(("blockquote", "figure")):
            tag.name = "p"
    for tag in soup.find_all(_DROPPED_TAGS):
        if tag.decomposed:
            continue
        _note(removed, "page_furniture", tag.get_text(" ", strip=True))
        tag.decompose()
    for tag in soup.find_all(class_=IN_EXPORTS):
        if not tag.decomposed:
            _note(removed, "page_furniture", tag.get_text(" ", strip=True))
            tag.decompose()
    for tag in soup.find_all(class_=EMBEDDED_POSTS):
        if not tag.decomposed and tag.find_parent("blockquote") is None:
            tag.name = "blockquote"
    notes = mark_footnotes(soup)
    converter = _Converter(
        heading_style="ATX",
        bullets="-",
        escape_asterisks=False,
        escape_underscores=False,
        escape_misc=False,
        sub_symbol="<sub>",
        sup_symbol="<sup>",
        wrap=False,
    )
    return write_footnotes(
        converter.convert_soup(soup), {key: converter.convert_soup(note) for key, note in notes.items()}
    )


_MARKDOWN = MarkdownIt("commonmark").enable("table")


def _from_markdown(body: str, removed: dict[str, dict[str, Any]]) -> str:
    text = _newlines(body)
    comments = re.findall(r"<!--.*?-->", text, flags=re.S)
    fenced = [match.span() for match in re.finditer(r"^(```|~~~).*?^\1", text, flags=re.S | re.M)]
    for comment in comments:
        start = text.find(comment)
        if start >= 0 and not any(begin <= start < end for begin, end in fenced):
            _note(removed, "html_comment", comment)
            text = text.replace(comment, "", 1)
            fenced = [match.span() for match in re.finditer(r"^(```|~~~).*?^\1", text, flags=re.S | re.M)]
    return _unwrap(text)


def _unwrap(text: str) -> str:
    """Join lines that a converter wrapped at a fixed width; text that is not wrapped so is returned as it is."""
    lines = text.split("\n")
    tokens = _MARKDOWN.parse(text)
    paragraphs = [
        token.map
        for token in tokens
        if token.type == "paragraph_open" and token.map and token.map[1] - token.map[0] > 1
    ]
    inner = [len(lines[index]) for start, end in paragraphs for index in range(start, end - 1)]
    wrapped = sum(58 <= length <= 80 for length in inner)
    if len(inner) < 8 or wrapped < 0.5 * len(inner) or max(map(len, lines)) > 400:
        return text
    joined: dict[int, tuple[int, str]] = {}
    for start, end in (*paragraphs, *_wrapped_headings(lines, tokens)):
        merged = lines[start]
        for line in lines[start + 1 : end]:
            if merged.endswith(("  ", "\\")):
                merged += "\n" + line
            else:
                tight = merged.endswith("-") and not merged.endswith(" -")
                merged += line.lstrip(" >") if tight else " " + line.lstrip(" >")
        joined[start] = (end, merged)
    result, index = [], 0
    while index < len(lines):
        if index in joined:
            end, merged = joined[index]
            result.append(merged)
            index = end
        else:
            result.append(lines[index])
            index += 1
    return re.sub(r"^\\([-+#>])", r"\1", "\n".join(result), flags=re.M)


def _wrapped_headings(lines: Sequence[str], tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """First and last line of each heading whose end a converter put on lines of its own, which Markdown takes for a
    paragraph: it stands right behind, and its first word would have made the heading's line too long."""
    headings = {token.map[0] for token in tokens if token.type == "heading_open" and token.map and "#" in token.markup}
    for token in tokens:
        if token.type != "paragraph_open" or token.level or not token.map:
            continue
        start, end = token.map
        if start - 1 not in headings or end - start > _HEADING_LINES:
            continue
        line, word = lines[start - 1].rstrip(), lines[start].split()[0]
        if len(line) <= _WIDTH < len(line) + 1 + len(word):
            yield start - 1, end


def _without_boilerplate(text: str, removed: dict[str, dict[str, Any]]) -> tuple[str, str | None]:
    """Take out share boxes, sign-in bars and comment sections that a page dump carries around the article.

    Returns:
        The text, and the author that the page's header names.
    """
    bar = _APP_BAR.match(text)
    if bar:
        _note(removed, "page_header", bar.group())
        text = text[bar.end() :]
    blocks = text.split("\n\n")
    byline = None
    keep = [True] * len(blocks)

    def drop(start: int, end: int, reason: str) -> None:
        for index in range(start, end):
            if keep[index]:
                keep[index] = False
                _note(removed, reason, blocks[index])

    shares = [(start, _share_end(blocks, start)) for start, block in enumerate(blocks) if block.strip() == _SHARE[0]]
    for start, end in shares:
        drop(start, end, "share_box")
    opening = [end for start, end in shares if start < 30]
    if len(opening) >= 2:
        header = [block.strip() for block in blocks[: max(opening[:2])]]
        byline = next((name for name, date in pairwise(header) if _DATE.match(date) and _NAME.match(name)), None)
        drop(0, len(header), "page_header")
    discussion = next((i for i, block in enumerate(blocks) if _DISCUSSION.match(block.strip())), None)
    if discussion is not None:
        drop(discussion, len(blocks), "page_footer")
    is_dump = bool(bar or shares or discussion is not None)
    edge = [i for i, kept in enumerate(keep) if kept]
    for index in (*edge[:8], *edge[-8:]):
        line = blocks[index].strip()
        if (
            line in _HEAD
            or (is_dump and line in _SHARE)
            or line in ("PreviousNext", "Previous", "Next", "__", "*")
            or line.strip("_* ") == ""
        ):
            drop(index, index + 1, "page_furniture")
    for index in reversed([i for i, kept in enumerate(keep) if kept][-3:]):
        if _DATE.match(blocks[index].strip()):
            drop(index, index + 1, "page_furniture")
    return "\n\n".join(block for block, kept in zip(blocks, keep, strict=True) if kept).strip("\n"), byline


def _share_end(blocks: list[str], start: int) -> int:
    """The end of a share box: its title, the host, and then only labels of buttons."""
    end = start + 1
    if end < len(blocks) and blocks[end].lstrip().startswith("#"):
        end += 1
    if end < len(blocks) and re.fullmatch(r"[\w.-]+\.[a-z]{2,}", blocks[end].strip()):
        end += 1
    while end < len(blocks) and blocks[end].strip() in _SHARE[1:]:
        end += 1
    return end


def _note(removed: dict[str, dict[str, Any]], reason: str, text: str) -> None:
    entry = removed.setdefault(reason, {"count": 0, "sample": text.strip()[:120], "words": []})
    entry["count"] += 1
    entry["words"].extend(plain_words(_visible(text, "text/markdown")))


def _visible(body: str, media_type: str) -> str:
    """The words a reader sees."""
    if media_type == "text/html":
        return visible_text(body)
    if media_type == "text/markdown":
        body = re.sub(r"(\]\()[^)\s]*(?:\s+\"[^\"]*\")?\)", "] ", body)
        body = re.sub(r"<!--.*?-->|</?su[bp]>", " ", body, flags=re.S)
        return re.sub(r"\\([^\w\s])", r"\1", body)
    return body


def _bag(text: str) -> Counter[str]:
    return Counter(plain_words(text))


def _title(title: str | None, text: str, category: str) -> tuple[str, str]:
    heading = re.match(r"#{1,3} +(.+?)\s*#*\n+", text + "\n")
    if title and title.strip():
        chosen = " ".join(title.split())
        if heading and category != "code" and plain_words(heading.group(1)) == plain_words(chosen):
            text = text[heading.end() :].lstrip("\n")
        return chosen, text
    if heading and category != "code":
        return " ".join(heading.group(1).split()), (text + "\n")[heading.end() :].strip("\n")
    opening = " ".join(text.split())
    return (opening if len(opening) <= 80 else opening[:80].rsplit(" ", 1)[0] + " …") or "(untitled)", text


def _byline(text: str) -> str | None:
    """The name in a line such as "by Jonas Ek" among the first lines of a text."""
    for block in list(_blocks(text))[:3]:
        match = _BYLINE.match(block)
        if match and len(block) < 120:
            return match.group(1)
    return None


def _blocks(text: str) -> Iterator[str]:
    for block in text.split("\n\n"):
        if block.strip():
            yield block.strip().lstrip("#> ").strip()
