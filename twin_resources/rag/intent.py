"""What kind of answer a question wants, by its own words: a definition, a reason, steps, code, a number, a date, prose.

Rules for English, with the commonest words of German, French and Spanish; what none of them fits wants prose.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from twin_resources.text import leaning
from twin_resources.text.words import content_words

Intent = Literal["definition", "reason", "steps", "code", "number", "date", "prose"]


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.I)


_RULES: tuple[tuple[Intent, re.Pattern[str]], ...] = (
    (
        "code",
        _any(
            r"\b(?:code|snippet|function|class|commands?|script|query|regex|config(?:uration)?|yaml|sql|one-?liner)\b",
            r"\b(?:implement(?:ed|ation)?|syntax|signature)\b",
            r"\bhow (?:do|would|can) (?:i|you|we) (?:write|call|import)\b",
        ),
    ),
    (
        "date",
        _any(r"^(?:since |from |until )?when\b", r"\bwhat (?:year|date|month|day)\b", r"^(?:wann|quand|cuándo)\b"),
    ),
    (
        "number",
        _any(
            r"\bhow (?:many|much|long|fast|large|big|often|far|old|small|deep|slow|quick(?:ly)?)\b",
            r"^wie (?:viel|lange|schnell|groß)",
            r"^(?:combien|cuánt)",
        ),
    ),
    (
        "steps",
        _any(
            r"\bsteps?\b|\blist\b|\brules?\b|\badvice\b|\btips\b|\bways (?:to|of)\b",
            r"\bhow (?:do|can|should|would|to|does one)\b|\bwhat are (?:the|your)\b",
            r"\bwhich (?:things|rules|kinds|types|tools)\b",
            r"^wie (?:kann|mache|soll)|^(?:comment|cómo)\b",
        ),
    ),
    (
        "reason",
        _any(r"\bwhy\b|\bhow come\b|\bwhat(?:'s| is| was)? (?:the )?reason", r"^(?:warum|wieso|pourquoi)\b|^por qué\b"),
    ),
    (
        "definition",
        _any(
            r"^(?:so )?(?:what|who)(?:'s| is| are| was| were| does| do)\b",
            r"\bdefin|\bmeans?\b|\bmeaning\b|\bexplain\b",
            r"^was (?:ist|sind)\b|^qu'est|^qué es",
        ),
    ),
)
_WRITING = _any(
    r"^(?:please |can you |could you |now )*(?:write|draft|compose|continue|finish|rewrite|rephrase|reword)\b",
    r"^(?:please |can you |could you )*(?:put|turn) (?:this|that|it|the following)\b",
    r"^(?:please |can you |could you )*make (?:this|that|it) sound\b",
    r"^(?:schreib|écris|rédige|escribe)",
)

_WHO = _any(
    r"^(?:who|what) are you(?: exactly| really)?$|^(?:please )?introduce yourself$",
    r"^who am i (?:talking|speaking) (?:to|with)$",
    r"^(?:(?:can|could|would|will) you )?(?:please )?(?:tell me|say something|talk) "
    r"(?:a (?:bit|little) |something |more )?about (?:yourself|you)$",
    r"^what do you (?:do|make|build|work on)(?: for (?:a living|work|money)| professionally| as a job)?$",
    r"^what are you working on$|^where do you work$",
    r"^what(?:['’]s| is) your (?:job|work|profession|occupation|background|bio|role|trade|day job)$",
    r"^wer (?:bist du|sind sie)$|^was (?:machst|arbeitest) du(?: so| beruflich)?$",
    r"^erzähle? (?:mir )?(?:was |etwas )?(?:über|von) dir$|^stelle? dich(?: bitte)? vor$",
    r"^qui (?:es-tu|êtes-vous)$|^(?:que|qu['’]est-ce que tu) fais(?:-tu)?(?: dans la vie)?$",
    r"^quién eres$|^a qué te dedicas$|^chi sei$|^quem é você$|^wie ben je$",
)
_GREETING = _any(
    r"^(?:hi|hello|hey|hallo|bonjour|salut|hola|ciao|good (?:morning|afternoon|evening|day))(?: there| you)?$|"
    r"^(?:so|well|ok(?:ay)?|now|please|thanks|thank you)$"
)
_SUBJECTS = _any(
    r"^what is this$|^help$|^what can (?:you do|i ask)(?: you)?(?: about)?$",
    r"^what (?:do|have|did) you (?:usually |mostly |mainly )?(?:write|written|know|blog|post|posted|publish|published)"
    r"(?: about| on| here)?$",
    r"^what (?:are you (?:writing|blogging) about|are your (?:main |usual )?(?:topics|subjects|themes|articles))$",
    r"^(?:worüber|über was) (?:schreibst|schreiben) (?:du|sie)$|^sur quoi (?:écris-tu|écrivez-vous)$|"
    r"^(?:de|sobre) qué escribes$",
)
_ARTICLE = r"(?:an? |the |your |ein(?:e|en)? |der |die |das )?"
_TERM = re.compile(
    r"^(?:so |and |ok(?:ay)?,? )?(?:"
    r"(?:(?:what|who)(?:['’]s| is| are| was| were)|define|was (?:ist|sind)|wer (?:ist|sind)) "
    rf"(?:exactly |actually |really )?{_ARTICLE}(?P<term>[^,;:?.!]+?)(?:,? (?:exactly|really|actually))?|"
    rf"what (?:do|does) (?:you mean by )?{_ARTICLE}(?P<meant>[^,;:?.!]+?)(?: mean)?)[?.! ]*$",
    re.I,
)
_TERM_WORDS = 3
_BEFORE = 2
"""Words that may stand before a subject: an article, an adjective."""
_YOU = re.compile(r"\b(?:you|yours?|yourself|du|dein\w*|dich|dir|tu|toi|tes|ton|vous|votre|tú|usted)\b", re.I)
_PARTS = re.compile(r"[.!?,;]+(?: and)? | (?:and|und|et|y) ", re.I)


def intent_of(question: str) -> Intent:
    """The kind of answer that ``question`` wants."""
    text = " ".join(question.split())
    for intent, pattern in _RULES:
        if pattern.search(text):
            return intent
    return "prose"


def term_of(question: str) -> str | None:
    """What a question wants to be told the meaning of ("What is a gate?"), where it names just that."""
    found = _TERM.match(" ".join(question.split()))
    term = found and (found["term"] or found["meant"])
    return term if term and len(term.split()) <= _TERM_WORDS and not _YOU.search(term) else None


def tells_of(term: str, sentence: str) -> bool:
    """Whether ``sentence`` begins with a term, leaning on nothing, so that it goes on to say something of it."""
    wanted, words = content_words(term), sentence.split()
    beginning = words[: len(wanted) + _BEFORE]
    told = bool(wanted) and len(words) > len(beginning) and wanted <= content_words(" ".join(beginning))
    return told and not leaning.leans(sentence)


def asks_what_there_is(question: str, names: Sequence[str] = ()) -> bool:
    """Whether a question, in each of its parts, greets or asks who the author is or what they write about at all.

    Args:
        names: the author's.
    """
    parts = _parts(question)
    known = (_GREETING.search(part) or _SUBJECTS.search(part) or _is_who(part, names) for part in parts)
    return bool(parts) and all(known)


def asks_who(question: str, names: Sequence[str] = ()) -> bool:
    """Whether a part of a question asks who the author is, or what they do."""
    return any(_is_who(part, names) for part in _parts(question))


def speaks_to_author(question: str, names: Sequence[str] = ()) -> bool:
    """Whether a question speaks to the author or of them by a name, so that what they say of themselves may answer."""
    return bool(_YOU.search(question)) or any(name.casefold() in question.casefold() for name in names)


def asks_for_subjects(question: str) -> bool:
    """Whether a part of a question asks what the author writes about at all."""
    return any(_SUBJECTS.search(part) for part in _parts(question))


def _is_who(part: str, names: Sequence[str]) -> bool:
    named = re.fullmatch(r"(?:who(?:['’]s| is)|wer ist|qui est|quién es) (.+)", part, re.I)
    return bool(_WHO.search(part)) or (named is not None and named[1].casefold() in {each.casefold() for each in names})


def _parts(question: str) -> list[str]:
    parts = (part.strip(" .!?¿¡,") for part in _PARTS.split(" ".join(question.split())))
    return [part for part in parts if part]


def wants_writing(question: str) -> bool:
    """Whether a text is asked for ("write a post about…", "put this in my words") rather than an answer."""
    return _WRITING.search(" ".join(question.split())) is not None
