"""Footnotes of HTML as Markdown writes them: ``[^1]`` in the text, ``[^1]: …`` where the notes stand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bs4 import BeautifulSoup, Tag

_OPEN, _CLOSE = "\ue000", "\ue001"
"""Private characters around the place of a note while the rest is converted."""
_REFERENCES = (
    "a.footnote-anchor, a.footnote-ref, a[role=doc-noteref], sup > a[href^='#fn'], sup[id^=fnref] a, a[id^=fnref]"
)
_BACK = "a.footnote-backref, a.reversefootnote, a[role=doc-backlink], a[href^='#fnref'], a[href^='#footnote-anchor']"
_LISTED = "[role=doc-endnotes] li[id], .footnotes li[id], li[id^=fn], li[role=doc-endnote]"


def mark_footnotes(soup: BeautifulSoup) -> dict[str, Tag]:
    """Put a mark where each note of ``soup`` is referred to and where it stands; the notes by mark."""
    labels: dict[str, str] = {}
    for link in soup.select(_REFERENCES):
        label = re.sub(r"[\s\[\](){}*^]", "", link.get_text())
        target = str(link.get("href") or "").rpartition("#")[2]
        if not re.fullmatch(r"[\w-]{1,20}", label) or not target:
            continue
        labels[target] = label
        around = link.parent
        alone = around is not None and around.name == "sup" and around.get_text(strip=True) == link.get_text(strip=True)
        (around if alone and around is not None else link).replace_with(f"[^{label}]")
    notes: dict[str, Tag] = {}
    for label, place, content in _notes(soup, labels):
        for back in content.select(_BACK):
            back.extract()
        key = f"{_OPEN}{len(notes)}{_CLOSE}"
        notes[key] = content
        mark = soup.new_tag("p")
        mark.string = f"{key}[^{label}]: {key}"
        place.replace_with(mark)
    for emptied in soup.select(".footnotes > ol, .footnotes > ul, [role=doc-endnotes] > ol"):
        if all(child.name != "li" for child in emptied.find_all(True, recursive=False)):
            emptied.unwrap()
    return notes


def write_footnotes(text: str, notes: Mapping[str, str]) -> str:
    """``text`` with each note written where its mark stands; further paragraphs of a note are indented."""
    for key, note in notes.items():
        lines = note.strip().split("\n")
        written = "\n".join([lines[0].strip(), *(f"    {line}" if line.strip() else "" for line in lines[1:])])
        text = re.sub(rf"{key}(\[\^[^\]]*\]: ){key}", lambda match, written=written: match.group(1) + written, text)
    return text


def _notes(soup: BeautifulSoup, labels: Mapping[str, str]) -> Iterator[tuple[str, Tag, Tag]]:
    """Label, the element to replace and the element that holds the words, for each note that something refers to."""
    for box in soup.select("div.footnote"):
        number, content = box.select_one(".footnote-number"), box.select_one(".footnote-content")
        if content is not None:
            label = number.get_text(strip=True) if number is not None else ""
            yield label or labels.get(str(box.get("id") or ""), "*"), box, content.extract()
    for item in soup.select(_LISTED):
        label = labels.get(str(item.get("id") or ""))
        if label and item.parent is not None:
            content = soup.new_tag("div")
            for child in list(item.contents):
                content.append(child.extract())
            yield label, item, content
