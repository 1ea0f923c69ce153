"""One interface for whatever makes samples, and what all of it starts from: passages in the author's own words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from twin_assets.clean.quotes import Span, own_part, quoted
from twin_assets.dataset.generators.explained import code_for
from twin_assets.dataset.samples import SUMMARY, InstructSample
from twin_assets.dataset.splits import teaches
from twin_resources.storage.chunk_store import Chunk
from twin_resources.text.identity import content_id

if TYPE_CHECKING:
    from twin_assets.dataset.generators.summaries import SummedUp

MIN_WORDS = {"articles": 25, "posts": 10, "code": 25}
MAX_CODE_SHARE = 0.5
MAX_LINK_SHARE = 0.35

_BOILERPLATE = re.compile(
    r"^(references?|further reading|related( articles?)?|images?|sources?|acknowledge?ments?|table of contents.*|"
    r"previous lessons?:?|links?|footnotes?|whenever you.re ready.*|next steps?)$",
    re.I,
)


@dataclass(frozen=True)
class OwnPassage:
    """A passage that may be an answer. ``text`` is its longest part in the author's own words, without headings before
    it; ``opens`` says whether the passage begins with it, ``first`` and ``starts_section`` where the passage stands.

    ``code`` is what the code in it is for, empty where it explains none; one that is ``mostly_code`` is an answer only
    as such. ``sums_up`` is what the passage sums up, if it does."""

    chunk: Chunk
    text: str
    opens: bool
    first: bool
    starts_section: bool
    code: str = ""
    mostly_code: bool = False
    sums_up: SummedUp | None = None

    def sample(self, kind: str, instruction: str, answer: str) -> InstructSample:
        """A sample without passages, not yet in a split."""
        given = self.sums_up.chunk_ids if kind == SUMMARY and self.sums_up else ()
        return InstructSample(
            id=content_id("sample", instruction, answer),
            split="train",
            category=self.chunk.category,
            kind=kind,
            instruction=instruction,
            answer=answer,
            passages=(),
            document_id=self.chunk.document_id,
            url=self.chunk.url,
            chunk_ids=(self.chunk.id, *given),
        )

    def divided(self) -> tuple[str, str]:
        """The opening sentence and what follows it; nothing follows where too little is left to answer with."""
        first = opening(self.text)
        rest = self.text[self.text.find(first) + len(first) :].strip() if first in self.text else ""
        return first, rest if len(rest.split()) >= MIN_WORDS[self.chunk.category] else ""


class SampleGenerator(Protocol):
    """Makes samples of an author's passages: each ends as a sample, or is counted with the reason it did not."""

    def generate(self, passages: Sequence[OwnPassage], dropped: Counter[str]) -> Iterable[InstructSample]:
        """Samples of some of ``passages``, in their order.

        Args:
            dropped: counts by reason what could not be made.
        """
        ...


class Rephrase(Protocol):
    """Says instructions in other words."""

    def __call__(
        self, samples: Sequence[InstructSample], passages: Mapping[str, OwnPassage], dropped: Counter[str]
    ) -> Mapping[str, str]:
        """Instructions by the id of their sample; those that could not be said otherwise are counted."""
        ...


class Writer(SampleGenerator, Protocol):
    """What makes samples and says instructions in other words: a language model."""

    rephrase: Rephrase


def own_passages(chunks: Sequence[Chunk], dropped: Counter[str]) -> Iterator[OwnPassage]:
    """The passages of one document that may be answers."""
    first = chunks[0]
    if not teaches(first.category, first.url):
        dropped["code_file"] += len(chunks)
        return
    previous: tuple[str, ...] | None = None
    quotes = quoted("".join(each.text for each in chunks))
    end = 0
    for index, each in enumerate(chunks):
        start, end = end, end + len(each.text)
        text, opens = _own(each.text, start, quotes)
        starts_section = each.heading != previous
        previous = each.heading
        reason = _unfit(each, text)
        if reason == "too_short" and _unfit(each, _body(each.text)) is None:
            reason = "quoted"
        code = code_for(each, text, starts_section=starts_section and opens) if reason in (None, "mostly_code") else ""
        if reason and not code:
            dropped[reason] += 1
        else:
            yield OwnPassage(each, text, opens, index == 0, starts_section, code, bool(reason))


def opening(text: str) -> str:
    """The first sentence, or the first words of a very long one."""
    first = text.strip().split("\n", 1)[0]
    match = re.match(r".{15,200}?[.!?…:](?=\s|$)", first)
    found = match.group() if match else first
    words = found.split()
    return found if len(words) <= 30 else " ".join(words[:20])


def _own(text: str, start: int, quotes: Sequence[Span]) -> tuple[str, bool]:
    """The longest part of a passage in the author's own words, without headings before it, and whether the passage
    begins with it. ``start`` is where the passage stands in the text that ``quotes`` were found in."""
    parts = [_body(text[a - start : b - start]) for a, b in own_part(start, start + len(text), quotes)]
    parts = [part for part in parts if part]
    best = max(range(len(parts)), key=lambda index: len(parts[index].split()), default=None)
    if best is None:
        return "", False
    return parts[best], best == 0 and _body(text).startswith(parts[0][:40])


def _body(text: str) -> str:
    """A passage without the heading line it starts with."""
    return re.sub(r"\A(?:\s*#{1,6} [^\n]*\n+)+", "", text + "\n").strip()


def _unfit(chunk: Chunk, text: str) -> str | None:
    """Why a passage makes no good answer, or None."""
    if chunk.heading and _BOILERPLATE.match(chunk.heading[-1].strip(" #*:")):
        return "boilerplate"
    if len(text.split()) < MIN_WORDS[chunk.category]:
        return "too_short"
    fenced = sum(len(match.group()) for match in re.finditer(r"(?:```|~~~).*?(?:```|~~~|\Z)", text, re.S))
    indented = sum(len(line) for line in text.split("\n") if line.startswith("    "))
    if max(fenced, indented) > MAX_CODE_SHARE * len(text):
        return "mostly_code"
    links = sum(len(match.group()) for match in re.finditer(r"\]\([^)]*\)|https?://\S+", text))
    if links > MAX_LINK_SHARE * len(text):
        return "mostly_links"
    return None
