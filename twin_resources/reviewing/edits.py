"""Whether an edited sample may be in a dataset: it goes through the checks that every sample goes through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from twin_resources.quality import form, grounding, inspection
from twin_resources.quality.samples import Flag, Sample
from twin_resources.quality.sources import Source, Sources
from twin_resources.rag.prompt import spelled_out
from twin_resources.rag.silence import is_saying

SILENCE = Flag(0, "silence", "this is not how silence is said; the passage that answers is not among those shown")
_QUIET = frozenset({form.LENGTH.name})
"""Checks that only warn of a sample."""


@dataclass(frozen=True)
class Edit:
    """A sample with its new answer; ``source`` is the text of the passage it was made of, ``passages`` are the texts it
    shows, ``cited`` the number of the right one among them, from 1, and ``silent`` says that it is not among them."""

    instruction: str
    answer: str
    source: str
    passages: tuple[str, ...] = ()
    cited: int | None = None
    silent: bool = False

    @classmethod
    def of(cls, instruction: str, answer: str, source: str, shown: Mapping[str, str], right: str) -> Edit:
        """The edit of a sample that shows the texts ``shown`` by chunk id and was made of the passage ``right``."""
        place = next((number for number, key in enumerate(shown, 1) if key == right), None)
        return cls(instruction, answer, source, tuple(shown.values()), place, bool(shown) and place is None)


def against(edit: Edit) -> list[Flag]:
    """What keeps an edited sample out of the next version; nothing where it may be in it.

    Its answer has to be supported by the passage it was made of, sentence by sentence, with its numbers and names, and
    by the passages it cites; it may hold no secrets, personal data or control tokens.
    """
    if edit.silent:
        return [] if is_saying(edit.answer.strip()) else [SILENCE]
    sample = Sample(
        index=0,
        instruction=spelled_out(edit.instruction),
        answer=spelled_out(edit.answer),
        context=tuple(map(spelled_out, edit.passages)),
        cited=edit.cited,
    )
    sources = Sources([Source("", spelled_out(edit.source))])
    flags = [each for each in inspection.alone(sample, sources, ()) if each.check not in _QUIET]
    return [*flags, *_uncited(edit)]


def _uncited(edit: Edit) -> Iterator[Flag]:
    """A sentence of an answer from passages that names none."""
    if edit.passages:
        *cited, rest = grounding.SENTENCE.split(edit.answer.strip())
        if rest or not cited:
            yield Flag(0, grounding.CITED.name, f"no passage is named for “{rest[:60]}”")
