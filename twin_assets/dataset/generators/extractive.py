"""Instructions out of titles, headings and opening sentences: no language model is needed, and nothing is invented."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from twin_assets.dataset.generators.base import OwnPassage, opening
from twin_assets.dataset.samples import InstructSample
from twin_resources.text.identity import bucket

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


class Extractive:
    """One sample of each passage; see :class:`~twin_assets.dataset.generators.base.SampleGenerator`."""

    def generate(self, passages: Sequence[OwnPassage], dropped: Counter[str]) -> Iterator[InstructSample]:
        """The samples; a passage with too little behind its opening sentence is counted as ``too_short``."""
        for passage in passages:
            sample = _sample(passage)
            if sample is None:
                dropped["too_short"] += 1
            else:
                yield sample


def _sample(passage: OwnPassage) -> InstructSample | None:
    chunk, text = passage.chunk, passage.text
    heading = chunk.heading[-1] if chunk.heading else ""
    if chunk.category == "posts":
        kind, template, values = "post", _POSTS, {"opening": opening(text)}
    elif passage.first and passage.opens:
        kind, template, values = "opening", _OPENINGS, {"title": chunk.title}
    elif passage.starts_section and heading and passage.opens:
        kind, template, values = "section", _SECTIONS, {"title": chunk.title, "heading": heading}
    else:
        first, text = passage.divided()
        if not text:
            return None
        kind, template, values = "continuation", _CONTINUATIONS, {"opening": first}
    if kind == "section" and heading.endswith("?"):
        return passage.sample(kind, heading, text)
    return passage.sample(kind, template[bucket(chunk.id, len(template))].format(**values), text)
