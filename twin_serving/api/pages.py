"""The pages: which there are, and the frame of head, navigation and question for a key that all of them stand in."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from string import Template

from twin_resources.storage.keys import Kind

FOLDER = Path(__file__).parent / "page"
"""The pages, a folder each, and in ``parts`` what they share."""

_PART = re.compile(r"^<!-- (bar|content) -->\n", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """One page: ``page/<name>/<name>.html`` in the frame, with ``<name>.js`` beside it."""

    path: str
    name: str
    link: str
    """What the navigation calls it."""
    about: str
    """What it is for, in the title; empty for the first one."""
    skip: tuple[str, str]
    """What a keyboard may skip to: its id, and its name after "Skip to the"."""
    kind: Kind = "reader"
    """The kind of key that it takes."""
    data: bool = False
    """Whether its address also answers programs that read, and those need a key; a browser gets the page without."""

    @functools.cached_property
    def html(self) -> str:
        """The whole page. The file of a page is what it adds to the head, to the bar and to the content."""
        head, _, bar, _, content = _PART.split((FOLDER / self.name / f"{self.name}.html").read_text("utf-8"))
        frame = Template((FOLDER / "parts" / "frame.html").read_text("utf-8"))
        about = f": {self.about[:1].lower()}{self.about[1:]}" if self.about else ""
        return frame.substitute(
            title=f"{self.about} · LLM Twin" if self.about else "LLM Twin",
            heading=f'LLM Twin<span class="hidden">{about}</span>' if about else "LLM Twin",
            name=self.name,
            head=head,
            skip_to=self.skip[0],
            skip_name=self.skip[1],
            navigation="\n".join(_link(page, current=page is self) for page in PAGES),
            bar=bar.rstrip(),
            kind=", here one of kind author" if self.kind == "author" else "",
            content=content.rstrip(),
        )


def _link(page: Page, *, current: bool) -> str:
    state = ' aria-current="page"' if current else ""
    return f'      <a href="{page.path}"{state}>{page.link}</a>'


PAGES = (
    Page("/", "chat", "Chat", "", ("question", "question")),
    Page("/sources", "sources", "Sources", "Sources", ("counts", "content"), "author", data=True),
    Page("/review", "review", "Review", "Review of samples", ("sample", "sample"), "author"),
    Page("/releases", "releases", "Releases", "Releases", ("versions", "content"), "author", data=True),
    Page("/experiments", "experiments", "Experiments", "Experiments", ("trainings", "content"), "author", data=True),
    Page("/blind-test", "blind-test", "Blind test", "Blind test", ("question", "question")),
    Page("/monitoring", "monitoring", "Monitoring", "Monitoring", ("alerts-title", "content"), "author", data=True),
    Page("/score", "score", "Score", "Score a draft", ("draft", "draft")),
)
"""In the order of the navigation."""
BY_PATH = {page.path: page for page in PAGES}
