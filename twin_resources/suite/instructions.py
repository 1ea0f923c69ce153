"""Instructions of which a program can tell whether they were followed, and the checks that tell it.

After IFEval (Zhou et al. 2023, arXiv:2311.07911), shorter, so that small models and slow machines can be asked.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from twin_resources.text.identity import content_id
from twin_resources.text.languages import guessed_language
from twin_resources.text.sentences import sentences

_LANGUAGES = ("de", "en", "es", "fr", "it", "nl", "pt")
_FEWEST_WORDS = 3
"""Of an answer that should do without something: saying nothing is no way to follow."""
_AROUND = " \t\n\"'“”‘’*_#`.,:;!?"
_POINT = re.compile(r"^\s*(?:([-*•])|(\d+)[.)])\s+\S", re.M)
_NUMBER = re.compile(r"[\d.,]+|zero|one|two|three|four|five|six|seven|eight|nine|ten", re.I)
_QUOTES = {'"': '"', "“": "”", "„": "“", "«": "»", "'": "'"}


@dataclass(frozen=True)
class Instruction:
    """What is ``asked``, the room for an answer in ``tokens``, and the ``checks`` it has to pass, by name."""

    asked: str
    tokens: int
    checks: Mapping[str, Any]

    def is_followed_by(self, answer: str, *, ended: bool) -> bool:
        """Whether an answer does what was asked.

        Args:
            ended: whether the model ended it itself; what was cut off has no number of sentences, words or points.
        """
        text = answer.strip()
        if not text or (not ended and any(name in _WHOLE for name in self.checks)):
            return False
        return all(_CHECKS[name](text, wanted) for name, wanted in self.checks.items())


@functools.cache
def instructions() -> tuple[Instruction, ...]:
    """All of them, those with the least room first."""
    rows = yaml.safe_load((Path(__file__).parent / "instructions.yaml").read_text(encoding="utf-8"))
    found = (Instruction(row.pop("ask"), row.pop("tokens"), row) for row in rows)
    return tuple(sorted(found, key=lambda each: each.tokens))


def instructions_id() -> str:
    """The content hash of the set: figures on another one do not compare."""
    return content_id("instructions", *(f"{each.asked} {each.tokens} {dict(each.checks)}" for each in instructions()))


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text)


def _one_of(text: str, wanted: list[str]) -> bool:
    return text.strip(_AROUND).casefold() in wanted


def _number(text: str, _: bool) -> bool:
    return bool(_NUMBER.fullmatch(text.strip(_AROUND)))


def _words_at_most(text: str, most: int) -> bool:
    return 0 < len(_words(text)) <= most


def _capitals(text: str, _: bool) -> bool:
    return text.isupper()


def _small_letters(text: str, _: bool) -> bool:
    return text.islower()


def _begins_with(text: str, wanted: str) -> bool:
    return [each.casefold() for each in _words(text)[:1]] == [wanted]


def _ends_with(text: str, wanted: str) -> bool:
    return text.rstrip(' \n*"”').casefold().endswith(wanted)


def _contains(text: str, wanted: list[str]) -> bool:
    words = {each.casefold() for each in _words(text)}
    return all(each in words if each.isalpha() else each in text for each in wanted)


def _without(text: str, unwanted: list[str]) -> bool:
    return len(_words(text)) >= _FEWEST_WORDS and not any(_contains(text, [each]) for each in unwanted)


def _times(text: str, wanted: Mapping[str, int]) -> bool:
    words = [each.casefold() for each in _words(text)]
    return all(words.count(word) == count for word, count in wanted.items())


def _quoted(text: str, _: bool) -> bool:
    return len(text) > 2 and _QUOTES.get(text[0]) == text.rstrip(".")[-1]


def _json_key(text: str, key: str) -> bool:
    found = re.fullmatch(r"(?:```(?:json)?\s*)?(\{.*\})(?:\s*```)?", text, re.S)
    try:
        return bool(found) and key in json.loads(found[1])
    except ValueError:
        return False


def _language(text: str, wanted: str) -> bool:
    return len(_words(text)) >= _FEWEST_WORDS and guessed_language(text, _LANGUAGES) == wanted


def _points(text: str, wanted: int) -> bool:
    return len(_POINT.findall(text)) == wanted


def _bullet(text: str, wanted: str) -> bool:
    """Whether all points of a list begin alike: with ``wanted``, or counted on from the number that it is."""
    marks = [sign or number for sign, number in _POINT.findall(text)]
    if wanted.isdigit():
        return marks == [str(number) for number in range(int(wanted), int(wanted) + len(marks))]
    return set(marks) == {wanted}


def _sentences(text: str, wanted: int) -> bool:
    return len(sentences(text)) == wanted


_CHECKS: Mapping[str, Callable[[str, Any], bool]] = {
    "one_of": _one_of,
    "number": _number,
    "words_at_most": _words_at_most,
    "capitals": _capitals,
    "small_letters": _small_letters,
    "begins_with": _begins_with,
    "ends_with": _ends_with,
    "contains": _contains,
    "without": _without,
    "times": _times,
    "quoted": _quoted,
    "json_key": _json_key,
    "language": _language,
    "points": _points,
    "bullet": _bullet,
    "sentences": _sentences,
}
_WHOLE = frozenset({"one_of", "number", "words_at_most", "ends_with", "quoted", "json_key", "points", "sentences"})
"""What only an answer with an end can be held to."""
