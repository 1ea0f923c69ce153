"""Instructions out of titles, headings and opening sentences: no language model is needed, and nothing is invented."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import get_args

from twin_assets.dataset.generators.base import OwnPassage, opening
from twin_assets.dataset.samples import InstructSample
from twin_resources.config.datasets import OwnKind
from twin_resources.text.identity import bucket, share_of

_ASKED: Mapping[OwnKind, Sequence[str]] = {
    "opening": (
        "Write the opening of an article called “{title}”.",
        "You are starting a piece called “{title}”. How does it begin?",
        "Open an article with the title “{title}”.",
    ),
    "section": (
        "In “{title}”, what do you have to say about “{heading}”?",
        "Write the section “{heading}” of “{title}”.",
        "Tell me about “{heading}”, as in your article “{title}”.",
    ),
    "continuation": (
        "Go on from here: “{opening}”",
        "You wrote: “{opening}” What comes next?",
        "Continue this thought: “{opening}”",
    ),
    "post": (
        "Write a post that opens with: “{opening}”",
        "Write a short post for your readers that begins “{opening}”",
    ),
    "summarise": (
        "Sum up your article “{title}”:\n\n{given}",
        "What does it all come to? Summarise “{title}”:\n\n{given}",
        "Write the summary of “{title}”:\n\n{given}",
    ),
    "code": (
        "As in “{title}”, show me code for this, and explain it: {code}",
        "How do you do this in code in “{title}”? Explain it as well: {code}",
        "Write code with an explanation, as in “{title}”: {code}",
    ),
}
_IN_PARTS = (
    "These are sentences from the parts of “{title}”. Sum the article up.\n\n{given}",
    "Here is a sentence from each of some parts of “{title}”. What does the article come to?\n\n{given}",
)
"""Where a document is too long to be shown whole."""
_KINDS: tuple[OwnKind, ...] = get_args(OwnKind)


@dataclass(frozen=True)
class Ask:
    """What an instruction of one kind is put together from, and the answer."""

    kind: OwnKind
    values: Mapping[str, str]
    answer: str
    in_parts: bool = False


class Extractive:
    """One sample of each passage; see :class:`~twin_assets.dataset.generators.base.SampleGenerator`.

    Args:
        targets: the share of the passages that a kind may have, at most, in [0, 1]; one of them at least where it is
            not 0. Kinds that are not named have no limit.
    """

    def __init__(self, targets: Mapping[OwnKind, float] = MappingProxyType({})) -> None:
        self._targets = targets

    def generate(self, passages: Sequence[OwnPassage], dropped: Counter[str]) -> Iterator[InstructSample]:
        """The samples.

        A kind that may not have all passages it fits takes those of the lowest hash; the others become what else they
        can. A passage with too little behind its opening sentence is counted as ``too_short``, one that is nothing but
        code as ``mostly_code``, and one that no kind has room for as ``over_target``.
        """
        able = [asks(passage) for passage in passages]
        chosen: dict[int, Ask] = {}
        for kind in _KINDS:
            fit = [place for place, kinds in enumerate(able) if place not in chosen and kind in kinds]
            room = self._room(kind, len(passages))
            if room is not None:
                fit.sort(key=lambda place: share_of(f"{kind}/{passages[place].chunk.id}"))
            chosen.update((place, able[place][kind]) for place in fit[:room])
        for place, passage in enumerate(passages):
            if place in chosen:
                yield passage.sample(chosen[place].kind, _instruction(chosen[place], passage), chosen[place].answer)
            else:
                reason = "mostly_code" if passage.mostly_code else "over_target" if able[place] else "too_short"
                dropped[reason] += 1

    def _room(self, kind: OwnKind, passages: int) -> int | None:
        share = self._targets.get(kind)
        return None if share is None else 0 if share == 0 else max(1, int(share * passages))


def asks(passage: OwnPassage) -> dict[OwnKind, Ask]:
    """What can be asked for so that the passage is the answer, by kind."""
    chunk, text = passage.chunk, passage.text
    values = {"title": chunk.title, "heading": chunk.heading[-1] if chunk.heading else "", "opening": opening(text)}
    found: list[Ask] = []
    if passage.sums_up:
        given = values | {"given": passage.sums_up.text}
        found.append(Ask("summarise", given, text, in_parts=not passage.sums_up.whole))
    if passage.code:
        found.append(Ask("code", values | {"code": passage.code}, text))
    if passage.mostly_code:
        return {each.kind: each for each in found}
    if chunk.category == "posts":
        found.append(Ask("post", values, text))
        return {each.kind: each for each in found}
    if passage.first and passage.opens:
        found.append(Ask("opening", values, text))
    elif passage.starts_section and values["heading"] and passage.opens:
        found.append(Ask("section", values, text))
    first, rest = passage.divided()
    if rest and (len(found) == 0 or found[-1].kind not in ("opening", "section")):
        found.append(Ask("continuation", values | {"opening": first}, rest))
    return {each.kind: each for each in found}


def _instruction(ask: Ask, passage: OwnPassage) -> str:
    if ask.kind == "section" and ask.values["heading"].endswith("?"):
        return ask.values["heading"]
    templates = _IN_PARTS if ask.in_parts else _ASKED[ask.kind]
    return templates[bucket(passage.chunk.id, len(templates))].format(**ask.values)
