"""Instruct samples whose answer is the author's own text, word for word.

The instruction comes from titles, headings and opening sentences, so no language model is needed and nothing is
invented: the Handbook's generated samples never quote the author they are meant to teach. Samples that answer from
passages, in :mod:`twin_assets.dataset.answering`, are made of these.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from twin_assets.clean.quotes import Span, own_part, quoted
from twin_assets.dataset import answering, sift
from twin_assets.dataset.answering import Source
from twin_assets.dataset.samples import InstructDataset, InstructSample
from twin_assets.dataset.splits import Split, assign, teaches
from twin_resources.quality.likeness import Encode
from twin_resources.storage.chunk_store import Chunk
from twin_resources.text.identity import bucket, content_id

MIN_WORDS = {"articles": 25, "posts": 10, "code": 25}
MAX_CODE_SHARE = 0.5
MAX_LINK_SHARE = 0.35

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


def build(
    author_id: str,
    chunks: Iterable[Chunk],
    answering_share: float = answering.SHARE,
    splits: Mapping[str, Split | None] | None = None,
    encode: Encode | None = None,
) -> InstructDataset:
    """Make samples from the current passages of one author.

    Args:
        chunks: in the order of document and position; read once, a document at a time.
        answering_share: the share of samples that answer from passages, in [0, 1).
        splits: the split of each document, None for one that is left out; without it they are assigned anew.
        encode: embeds texts, so that what repeats another sample in other words is left out as well.
    """
    made: list[InstructSample] = []
    passages = 0
    texts: list[str] = []
    sources: dict[str, Source] = {}
    documents: list[str] = []
    dropped: Counter[str] = Counter()
    for document_id, group in groupby(chunks, key=lambda each: each.document_id):
        documents.append(document_id)
        cut = list(group)
        passages += len(cut)
        texts.append(cut[0].text)
        for sample, source in _of_document(cut, dropped):
            made.append(sample)
            sources[sample.chunk_ids[0]] = source
    splits = assign(documents) if splits is None else splits
    dropped["between_splits"] += sum(not splits.get(sample.document_id) for sample in made)
    made = [replace(sample, split=split) for sample in made if (split := splits.get(sample.document_id))]
    languages = sift.languages_of(texts)
    candidates = len(made) + dropped["between_splits"]
    made = sift.fit(made, languages, dropped, encode)
    asked = answering.with_answers(made, sources, answering_share, dropped)
    candidates += len(asked) - len(made)
    made = sift.fit(asked, languages, dropped, encode, looked_at={sample.id for sample in made})
    return InstructDataset(author_id, made, +dropped, passages, candidates)


def _of_document(chunks: Sequence[Chunk], dropped: Counter[str]) -> Iterator[tuple[InstructSample, Source]]:
    """Samples of one document, not yet in a split, each with the passage that its answer comes from."""
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
        asked = None if reason else _asked(each, text, opens=opens, first=index == 0, starts_section=starts_section)
        if asked is None:
            dropped[reason or "too_short"] += 1
            continue
        kind, instruction, answer = asked
        yield (
            InstructSample(
                id=content_id("sample", instruction, answer),
                split="train",
                category=first.category,
                kind=kind,
                instruction=instruction,
                answer=answer,
                passages=(),
                document_id=each.document_id,
                url=each.url,
                chunk_ids=(each.id,),
            ),
            Source(each.title, each.heading, each.text.strip()),
        )


def _asked(chunk: Chunk, text: str, *, opens: bool, first: bool, starts_section: bool) -> tuple[str, str, str] | None:
    """Kind, instruction and answer of a passage; None where too little is left to answer with."""
    heading = chunk.heading[-1] if chunk.heading else ""
    if chunk.category == "posts":
        kind, template, values = "post", _POSTS, {"opening": _opening(text)}
    elif first and opens:
        kind, template, values = "opening", _OPENINGS, {"title": chunk.title}
    elif starts_section and heading and opens:
        kind, template, values = "section", _SECTIONS, {"title": chunk.title, "heading": heading}
    else:
        opening = _opening(text)
        rest = text[text.find(opening) + len(opening) :].strip() if opening in text else ""
        if len(rest.split()) < MIN_WORDS[chunk.category]:
            return None
        kind, template, values, text = "continuation", _CONTINUATIONS, {"opening": opening}, rest
    if kind == "section" and heading.endswith("?"):
        return kind, heading, text
    return kind, template[bucket(chunk.id, len(template))].format(**values), text


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


def _opening(text: str) -> str:
    """The first sentence, or the first words of a very long one."""
    first = text.strip().split("\n", 1)[0]
    match = re.match(r".{15,200}?[.!?…:](?=\s|$)", first)
    opening = match.group() if match else first
    words = opening.split()
    return opening if len(words) <= 30 else " ".join(words[:20])


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
