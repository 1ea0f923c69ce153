"""Whether the author has written about a question at all; where not, the twin says so.

The evidence is how near the best sentence and the best passage stand to the question, how many of its words they hold,
and whether it names something that the author has never named. From which evidence on a question is answered is
calibrated for each author by split conformal prediction (Vovk et al. 2005; Angelopoulos and Bates 2021,
arXiv:2107.07511), so that at most a configured share of answerable questions is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from twin_resources.text.words import STOP_WORDS, WORD

THRESHOLD = 0.37
"""For an author who has not been calibrated yet."""
_SENTENCE, _PASSAGE, _COVERED, _UNKNOWN = 0.6, 0.4, 0.10, 0.16

_SAYINGS = {
    "de": "Darüber habe ich nicht geschrieben.",
    "en": "I haven't written about that.",
    "es": "No he escrito sobre eso.",
    "fr": "Je n'ai pas écrit là-dessus.",
    "it": "Non ho scritto di questo.",
    "nl": "Daar heb ik niet over geschreven.",
    "no": "Det har jeg ikke skrevet om.",
    "pl": "Nie pisałem o tym.",
    "pt": "Não escrevi sobre isso.",
    "sv": "Det har jag inte skrivit om.",
    "da": "Det har jeg ikke skrevet om.",
    "fi": "En ole kirjoittanut siitä.",
    "tr": "Bunun hakkında yazmadım.",
    "ru": "Я об этом не писал.",
    "zh": "我没有写过这个。",
    "ja": "それについては書いていません。",
}
SPOKEN = frozenset(_SAYINGS)
"""The languages (ISO 639-1) that :func:`saying` knows."""


@dataclass(frozen=True)
class Evidence:
    """What speaks for an answer.

    Args:
        sentence, passage: cosine similarity of the question to the best sentence and the best passage.
        covered: share of the question's content words that the best passages hold, in [0, 1].
        unknown: names in the question that stand nowhere in the author's work.
    """

    sentence: float
    passage: float
    covered: float
    unknown: tuple[str, ...] = ()

    @property
    def score(self) -> float:
        """The evidence as one number; the higher, the surer it is that the author wrote about it."""
        score = _SENTENCE * self.sentence + _PASSAGE * self.passage + _COVERED * self.covered
        return score - (_UNKNOWN if self.unknown else 0.0)


def threshold(answerable: Sequence[float], refused: float) -> float:
    """The evidence from which on a question is answered, so that at most ``refused`` of answerable ones are not.

    Args:
        answerable: scores of questions that the author's work answers; exchangeable with those that readers ask.
        refused: the share in (0, 1).

    Returns:
        :data:`THRESHOLD` where there are too few scores to promise that share.
    """
    rank = math.floor(refused * (len(answerable) + 1))
    return sorted(answerable)[rank - 1] if rank >= 1 else min(THRESHOLD, *answerable) if answerable else THRESHOLD


def names_in(question: str) -> list[str]:
    """Words of a question that are names by their spelling: capitals inside, or at the beginning of a later word."""
    found = []
    for index, match in enumerate(WORD.finditer(question)):
        word = match.group()
        inner = word[1:] != word[1:].lower() or (word[:1].isupper() and any(letter.isdigit() for letter in word))
        if (inner or (word[:1].isupper() and index > 0)) and word.casefold() not in STOP_WORDS and len(word) > 1:
            found.append(word)
    shouted = re.sub(r"[^A-Za-z]", "", question).isupper()
    return [] if shouted else found


def saying(language: str) -> str:
    """How the twin says in a language (ISO 639-1) that nothing was written; English for one it does not know."""
    return _SAYINGS.get(language, _SAYINGS["en"])


def is_saying(text: str) -> bool:
    """Whether ``text`` is what :func:`saying` says, in any language."""
    return text in _SAYINGS.values()
