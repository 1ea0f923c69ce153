"""Which language a text is written in, by a model that comes with its library (py3langid)."""

from __future__ import annotations

import functools
import re

MIN_WORDS = 3
MIN_CONFIDENCE = 0.5
_READ = 4000
"""Characters that are looked at; more change nothing."""
_NO_PROSE = re.compile(r"^(`{3,}|~{3,}).*?(?:^\1|\Z)|`[^`\n]*`|https?://\S+|\]\([^)\s]*\)|<[^>\s][^>]*>", re.S | re.M)


def language_of(text: str) -> str | None:
    """The ISO 639 code of the language of Markdown ``text``, code and addresses apart; None where nothing is sure.

    A question that is too short to tell is Spanish where it begins with an inverted mark.
    """
    prose = _NO_PROSE.sub(" ", text[: 3 * _READ])[:_READ]
    if len(re.findall(r"[^\W\d_]{2,}", prose)) < MIN_WORDS and not re.search(r"[\u3040-\u9fff\uac00-\ud7af]{4}", prose):
        return None
    language, confidence = _identifier().classify(prose)
    if confidence >= MIN_CONFIDENCE:
        return str(language)
    return "es" if "¿" in prose else None


@functools.cache
def _identifier():
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
