"""Which language a text is written in, by a model that comes with its library (py3langid)."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection

MIN_WORDS = 3
MIN_CONFIDENCE = 0.5
_MIN_GUESS = 0.2
_READ = 4000
"""Characters that are looked at; more change nothing."""
_NO_PROSE = re.compile(r"^(`{3,}|~{3,}).*?(?:^\1|\Z)|`[^`\n]*`|https?://\S+|\]\([^)\s]*\)|<[^>\s][^>]*>", re.S | re.M)


_SCRIPTS = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("zh", re.compile(r"[\u4e00-\u9fff]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
)
_LETTER = re.compile(r"[^\W\d_]")


def language_of(text: str) -> str | None:
    """The ISO 639 code of the language of Markdown ``text``, code and addresses apart; None where nothing is sure.

    What is too short to tell by its words is told by what only one language has: a script, an inverted question mark.
    """
    prose = _NO_PROSE.sub(" ", text[: 3 * _READ])[:_READ]
    if len(re.findall(r"[^\W\d_]{2,}", prose)) >= MIN_WORDS or re.search(r"[\u3040-\u9fff\uac00-\ud7af]{4}", prose):
        language, confidence = _identifier().classify(prose)
        if confidence >= MIN_CONFIDENCE:
            return str(language)
    letters = len(_LETTER.findall(prose))
    for language, script in _SCRIPTS:
        if letters and 2 * len(script.findall(prose)) >= letters:
            return language
    return "es" if "¿" in prose else None


def guessed_language(text: str, among: Collection[str]) -> str | None:
    """The language that a text too short for :func:`language_of` looks most like, where it is one of ``among``."""
    language, confidence = _identifier().classify(_NO_PROSE.sub(" ", text))
    return str(language) if confidence >= _MIN_GUESS and language in among else None


@functools.cache
def _identifier():
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
