"""Saved HTML and Markdown: the few things a reader asks of them before any cleaning."""

from __future__ import annotations

import html
import re
import tomllib
from collections.abc import Mapping
from typing import Any

import lxml.html
import yaml
from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\r?\n(.*?)(?<=\n)\1[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")
_SILENT = frozenset(("script", "style", "noscript", "svg", "template", "rt", "rp"))
_HEADING = re.compile(r" {0,3}#[ \t]+(.+?)[ \t]*#*[ \t]*")


def parse_html(text: str) -> lxml.html.HtmlElement:
    """The document tree of ``text``.

    Raises:
        ValueError: there is no markup in it at all, or more than the parser takes: past its limits it drops the rest
            of the page without a word.
    """
    parser = lxml.html.HTMLParser(encoding="utf-8", huge_tree=True)
    try:
        tree = lxml.html.document_fromstring(text.encode("utf-8"), parser=parser)
    except (etree.LxmlError, AssertionError) as problem:
        raise ValueError("no HTML in it") from problem
    if any(entry.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT for entry in parser.error_log):
        raise ValueError("HTML nested too deeply to be read whole")
    if not isinstance(tree.tag, str):
        raise ValueError("no HTML in it")
    return tree


def inner_html(element: lxml.html.HtmlElement) -> str:
    """The markup inside ``element``, without its own tag."""
    inside = "".join(etree.tostring(child, encoding="unicode", method="html") for child in element)
    return html.escape(element.text or "", quote=False) + inside


def text_of(element: lxml.html.HtmlElement | None) -> str:
    """The text inside ``element`` with every run of white space as one space; empty for None."""
    return "" if element is None else " ".join(str(element.xpath("string()")).split())


def visible_text(html_text: str) -> str:
    """The words that a reader sees in ``html_text``, the text of each element apart; empty where there is none.

    What the readings of ruby and templates say is not counted as words of the text.
    """
    try:
        tree = parse_html(html_text.encode("utf-8", "replace").decode("utf-8"))
    except ValueError:
        return ""
    shown: list[str] = []
    silent = 0
    for event, node in etree.iterwalk(tree, events=("start", "end", "comment", "pi")):
        hides = node.tag in _SILENT
        if event == "start":
            silent += hides
            text = node.text
        else:
            silent -= hides and event == "end"
            text = node.tail
        if text and not silent:
            shown.append(text)
    return " ".join(shown)


def first(element: lxml.html.HtmlElement, xpath: str) -> Any | None:
    """The first result of ``xpath`` below ``element``, or None."""
    found = element.xpath(xpath)
    return found[0] if found else None


def has_class(name: str) -> str:
    """An XPath condition for one class among several."""
    return f"contains(concat(' ', normalize-space(@class), ' '), ' {name} ')"


def split_front_matter(text: str) -> tuple[Mapping[str, Any], str]:
    """The fields of YAML (``---``) or TOML (``+++``) front matter, and the body after it, untouched.

    Values are strings, lists or mappings of strings: ``2024-01-01`` and ``true`` stay as written. Text that only
    begins with a thematic break has no fields and stays whole.

    Raises:
        ValueError: front matter that is not valid YAML or TOML.
    """
    match = _FRONT_MATTER.match(text)
    if match is None:
        return {}, text
    fence, block = match.groups()
    try:
        fields = (
            tomllib.loads(block.replace("\r\n", "\n")) if fence == "+++" else yaml.load(block, Loader=yaml.BaseLoader)
        )
    except (yaml.YAMLError, tomllib.TOMLDecodeError, RecursionError, ValueError) as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f" in line {mark.line + 2}" if mark else ""
        raise ValueError(f"front matter does not parse{where}: {str(problem).splitlines()[0][:120]}") from problem
    if not isinstance(fields, dict):
        return ({}, text[match.end() :]) if not block.strip() else ({}, text)
    return {str(key): _as_text(value) for key, value in fields.items()}, text[match.end() :]


def plain(value: Any) -> Any:
    """``value`` (text, or lists and mappings of it) without the characters that neither XML nor Postgres takes."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("", value)
    if isinstance(value, dict):
        return {plain(key): plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def first_heading(markdown: str) -> str | None:
    """The first ``# heading`` outside fenced code, or None."""
    fence = ""
    for line in markdown.splitlines():
        if match := _FENCE.match(line):
            marker, rest = match.groups()
            if not fence:
                fence = marker
            elif marker.startswith(fence) and not rest.strip():
                fence = ""
        elif not fence and (heading := _HEADING.fullmatch(line)):
            return heading.group(1).strip() or None
    return None


def _as_text(value: Any) -> Any:
    if isinstance(value, str | list | dict):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)
