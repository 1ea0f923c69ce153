"""Text extraction from saved article pages against gold answers: ours, trafilatura and readability-lxml in one run.

Word-level F1 over the bag of words of the visible text, as in ``../shared/data/README.md``; needs the ``dev`` extra.
"""

from __future__ import annotations

import re
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import lxml.html

from benchmarks.table import Table
from twin_resources.readers.page import read_page

PAGES = Path(__file__).resolve().parents[2] / "shared" / "data"


def visible_words(html: str) -> Counter[str]:
    """The words a reader sees in a page or a part of one."""
    tree = lxml.html.document_fromstring(html if "<" in html else f"<p>{html}</p>")
    for hidden in tree.xpath("//script | //style | //noscript | //svg"):
        hidden.drop_tree()
    return Counter(re.findall(r"[^\W_]+", " ".join(tree.itertext()).casefold()))


def f1(found: Counter[str], gold: Counter[str]) -> float:
    """Harmonic mean of precision and recall of the words."""
    return 2 * (found & gold).total() / max(1, found.total() + gold.total())


def measure(table: Table) -> None:
    """Add one row a page and one for the whole; a row saying so where the pages or the other libraries are absent."""
    try:
        import readability
        import trafilatura
    except ImportError:
        table.note("text extraction: not measured, install the extra `dev`")
        return
    sources = sorted(PAGES.glob("*/pages/*/source.html"))
    if not sources:
        table.note("text extraction: not measured, no saved pages here")
        return
    ways: dict[str, Callable[[str, str], str]] = {
        "ours": lambda html, url: read_page(html, url).body,
        "trafilatura": lambda html, url: trafilatura.extract(html, url=url, output_format="html") or "",
        "readability-lxml": lambda html, url: readability.Document(html).summary(),
    }
    scores: dict[str, list[float]] = {way: [] for way in ways}
    seconds = dict.fromkeys(ways, 0.0)
    for source in sources:
        html = source.read_text(encoding="utf-8")
        stated = source.with_name("url.txt")
        url = stated.read_text().strip() if stated.exists() else "https://medium.com/"
        gold = visible_words(source.with_name("expected.html").read_text(encoding="utf-8"))
        for way, extract in ways.items():
            start = time.perf_counter()
            text = extract(html, url)
            seconds[way] += time.perf_counter() - start
            scores[way].append(f1(visible_words(f"<div>{text}</div>"), gold))
            table.add(f"extraction of {source.parent.name}, {way}", scores[way][-1], "F1")
    for way, values in scores.items():
        table.add(f"extraction over {len(values)} pages, {way}: mean", statistics.mean(values), "F1")
        table.add(f"extraction over {len(values)} pages, {way}: worst", min(values), "F1")
        table.add(f"extraction over {len(values)} pages, {way}: a page", 1000 * seconds[way] / len(values), "ms")
