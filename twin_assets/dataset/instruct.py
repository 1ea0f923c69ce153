"""Instruct samples whose answer is the author's own text, word for word.

The instruction comes from titles, headings and opening sentences, so no language model is needed and nothing is
invented: the Handbook's generated samples never quote the author they are meant to teach.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from twin_resources.text.identity import content_id

from twin_assets.clean.duplicates import shingles
from twin_assets.clean.quotes import Span, own_part, quoted
from twin_assets.dataset.splits import Split, assign

CODE_VERSION = "2"

MIN_WORDS = {"articles": 25, "posts": 10, "code": 25}
MAX_CODE_SHARE = 0.5
MAX_LINK_SHARE = 0.35
CONTEXT_SHARE = 0.3
LEAK = 0.5
"""A test answer that shares this much of its 5-grams with training text is taken out."""

_OPENINGS = (
    "Write the opening of an article called “{title}”.",
    "You are starting a piece called “{title}”. How does it begin?",
    "Open an article with the title “{title}”.",
)
_SECTIONS = (
    "In “{title}”, what do you have to say about “{heading}”?",
    "Write the section “{heading}” of “{title}”.",
    "Tell me about “{heading}”, as in your article “{title}”.",
)
_CONTINUATIONS = (
    "Go on from here: “{opening}”",
    "You wrote: “{opening}” What comes next?",
    "Continue this thought: “{opening}”",
)
_POSTS = (
    "Write a post that opens with: “{opening}”",
    "Write a short post for your readers that begins “{opening}”",
)
_BOILERPLATE = re.compile(
    r"^(references?|further reading|related( articles?)?|images?|sources?|acknowledge?ments?|table of contents.*|"
    r"previous lessons?:?|links?|footnotes?|whenever you.re ready.*|next steps?)$",
    re.I,
)


@dataclass(frozen=True)
class Sample:
    """One instruct sample; ``chunk_ids`` are the passages its answer came from."""

    id: str
    split: Split
    category: str
    kind: str
    instruction: str
    answer: str
    passages: tuple[Mapping[str, str], ...]
    document_id: str
    url: str
    chunk_ids: tuple[str, ...]


@dataclass
class InstructDataset:
    """All samples, and what was dropped by reason."""

    author_id: str
    samples: list[Sample]
    dropped: Counter[str] = field(default_factory=Counter)

    def split(self, name: Split) -> list[Sample]:
        """Samples of one split, in order."""
        return [sample for sample in self.samples if sample.split == name]

    @property
    def id(self) -> str:
        """Content hash of the samples and of the code that made them."""
        return content_id(
            "instruct",
            CODE_VERSION,
            self.author_id,
            *(part for sample in self.samples for part in (sample.id, sample.split)),
        )


def build(author_id: str, chunks: Sequence[Mapping[str, Any]]) -> InstructDataset:
    """Make samples from the current passages of one author.

    Args:
        chunks: rows of ``chunk`` in the order of document and position.
    """
    splits = assign(row["document_id"] for row in chunks)
    made: list[Sample] = []
    dropped: Counter[str] = Counter()
    for document_id, group in groupby(chunks, key=lambda row: row["document_id"]):
        rows = list(group)
        for sample in _of_document(rows, splits[document_id], dropped):
            made.append(sample)
    made = _unique(made, dropped)
    made = _decontaminated(made, dropped)
    return InstructDataset(author_id, _with_passages(made, chunks), dropped)


def _of_document(rows: Sequence[Mapping[str, Any]], split: Split, dropped: Counter[str]) -> Iterable[Sample]:
    category, is_post = rows[0]["category"], rows[0]["category"] == "posts"
    if category == "code" and not rows[0]["url"].lower().endswith((".md", ".markdown")):
        dropped["code_file"] += len(rows)
        return
    previous: list[str] | None = None
    quotes = quoted("".join(row["text"] for row in rows))
    end = 0
    for index, row in enumerate(rows):
        start, end = end, end + len(row["text"])
        text, opens = _own(row["text"], start, quotes)
        starts_section = list(row["heading"]) != previous
        previous = list(row["heading"])
        reason = _unfit(row, text)
        if reason == "too_short" and _unfit(row, _body(row["text"])) is None:
            reason = "quoted"
        if reason:
            dropped[reason] += 1
            continue
        heading = row["heading"][-1] if row["heading"] else ""
        if is_post:
            kind, template, values = "post", _POSTS, {"opening": _opening(text)}
        elif index == 0 and opens:
            kind, template, values = "opening", _OPENINGS, {"title": row["title"]}
        elif starts_section and heading and opens:
            kind, template, values = "section", _SECTIONS, {"title": row["title"], "heading": heading}
        else:
            opening = _opening(text)
            rest = text[text.find(opening) + len(opening) :].strip() if opening in text else ""
            if len(rest.split()) < MIN_WORDS[category]:
                dropped["too_short"] += 1
                continue
            kind, template, values, text = "continuation", _CONTINUATIONS, {"opening": opening}, rest
        if kind == "section" and heading.endswith("?"):
            instruction = heading
        else:
            instruction = template[_pick(row["id"], len(template))].format(**values)
        yield Sample(
            content_id("sample", instruction, text),
            split,
            category,
            kind,
            instruction,
            text,
            (),
            row["document_id"],
            row["url"],
            (row["id"],),
        )


def _own(text: str, start: int, quotes: Sequence[Span]) -> tuple[str, bool]:
    """The longest stretch of a passage in the author's own words, without headings before it, and whether the passage
    begins with it. ``start`` is where the passage stands in the text that ``quotes`` were found in."""
    parts = [_body(text[a - start : b - start]) for a, b in own_part(start, start + len(text), quotes)]
    parts = [part for part in parts if part]
    best = max(range(len(parts)), key=lambda index: len(parts[index].split()), default=None)
    if best is None:
        return "", False
    return parts[best], best == 0 and _body(text).startswith(parts[0][:40])


def _pick(key: str, count: int) -> int:
    return int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % count


def _body(text: str) -> str:
    """A passage without the heading line it starts with."""
    return re.sub(r"\A(?:\s*#{1,6} [^\n]*\n+)+", "", text + "\n").strip()


def _opening(text: str) -> str:
    """The first sentence, or the first words of a very long one."""
    first = text.strip().split("\n", 1)[0]
    match = re.match(r".{15,200}?[.!?…:](?=\s|$)", first)
    opening = match.group() if match else first
    words = opening.split()
    return opening if len(words) <= 30 else " ".join(words[:20])


def _unfit(row: Mapping[str, Any], text: str) -> str | None:
    """Why a passage makes no good answer, or None."""
    if row["heading"] and _BOILERPLATE.match(row["heading"][-1].strip(" #*:")):
        return "boilerplate"
    if len(text.split()) < MIN_WORDS[row["category"]]:
        return "too_short"
    fenced = sum(len(match.group()) for match in re.finditer(r"(?:```|~~~).*?(?:```|~~~|\Z)", text, re.S))
    indented = sum(len(line) for line in text.split("\n") if line.startswith("    "))
    if max(fenced, indented) > MAX_CODE_SHARE * len(text):
        return "mostly_code"
    links = sum(len(match.group()) for match in re.finditer(r"\]\([^)]*\)|https?://\S+", text))
    if links > MAX_LINK_SHARE * len(text):
        return "mostly_links"
    return None


def _unique(samples: Sequence[Sample], dropped: Counter[str]) -> list[Sample]:
    seen: set[str] = set()
    kept = []
    for sample in samples:
        key = " ".join(sample.answer.casefold().split())
        if key in seen:
            dropped["repeated_answer"] += 1
        else:
            seen.add(key)
            kept.append(sample)
    return kept


def _decontaminated(samples: Sequence[Sample], dropped: Counter[str]) -> list[Sample]:
    """Without validation and test samples whose answer largely stands in training text (Brown et al. 2020, app. C)."""
    trained = set().union(*(shingles(sample.answer) for sample in samples if sample.split == "train"), set())
    asked = {sample.instruction for sample in samples if sample.split == "train"}
    kept = []
    for sample in samples:
        if sample.split != "train":
            grams = shingles(sample.answer)
            if sample.instruction in asked or len(grams & trained) > LEAK * max(1, len(grams)):
                dropped["leaks_into_train"] += 1
                continue
        kept.append(sample)
    return kept


def _with_passages(samples: Sequence[Sample], chunks: Sequence[Mapping[str, Any]]) -> list[Sample]:
    """Give some samples passages to answer from, the right one and a distractor, so the twin learns to use them."""
    by_id = {row["id"]: row for row in chunks}
    others: dict[str, list[str]] = defaultdict(list)
    for sample in samples:
        others[sample.split].append(sample.chunk_ids[0])
    done = []
    for sample in samples:
        draw = _pick("context/" + sample.id, 1000) / 1000
        pool = others[sample.split]
        if draw >= CONTEXT_SHARE or sample.kind not in ("section", "opening") or len(pool) < 2:
            done.append(sample)
            continue
        start = _pick("distractor/" + sample.id, len(pool))
        distractor = next(
            (
                pool[(start + step) % len(pool)]
                for step in range(len(pool))
                if by_id[pool[(start + step) % len(pool)]]["document_id"] != sample.document_id
            ),
            None,
        )
        shown = [by_id[sample.chunk_ids[0]], *([by_id[distractor]] if distractor else [])]
        if _pick("order/" + sample.id, 2):
            shown.reverse()
        passages = tuple({"title": row["title"], "text": row["text"].strip(), "chunk_id": row["id"]} for row in shown)
        done.append(
            Sample(
                content_id("sample", sample.instruction, sample.answer, *(row["chunk_id"] for row in passages)),
                sample.split,
                sample.category,
                sample.kind,
                sample.instruction,
                sample.answer,
                passages,
                sample.document_id,
                sample.url,
                (sample.chunk_ids[0], *([distractor] if distractor else [])),
            )
        )
    return done
