"""Whether a sentence leans on what was said before it, so that a reader who does not see that cannot follow.

By its words alone, for English with the commonest words of German, French and Spanish. What a sentence rests on is
mostly told by how it begins: with a pronoun, a connective ("however", "for example"), or an ordinal ("the second
one"). An empty "it" or "there" rests on nothing ("it is hard to…", "there is a table…").
"""

from __future__ import annotations

import re
import unicodedata

from twin_resources.text.words import STOP_WORDS, WORD


def _any(words: str) -> str:
    return f"(?:{'|'.join(words.split())})"


_MARKS = "*_“\"'(‘…. "
_TEXT = _any(
    "article post blog tutorial section chapter lesson note guide til piece essay newsletter series page site course "
    "book project repository year month week morning afternoon evening time day summer winter spring autumn"
)
"""What "this" may stand before that is no pointer: the text itself, and its time."""
_NOT_TEXT = rf"(?! (?:\w+ )?{_TEXT})"
_CONNECTIVE = _any(
    "and but or nor so yet not plus then also still instead therefore thus hence however consequently otherwise "
    "similarly likewise moreover furthermore additionally besides meanwhile afterwards? nevertheless nonetheless "
    "conversely alternatively because such neither either both which same second third secondly thirdly finally "
    "lastly another others"
)
_PHRASE = (
    r"(?:for (?:example|instance)|as a result|that said|on the (?:other hand|contrary)|what['’]s more|"
    r"in (?:addition|contrast|turn|comparison|other words|both|either))"
)
_PRONOUN = _any("its? this that these those they them their theirs he him his she hers?") + r"(?:['’]\w+)?"
_FOREIGN = _any(
    "das dies\\w? es er sie und aber denn dann deshalb außerdem ce cela ça il elle ils elles et mais donc esto eso "
    "ello él ella ellos pero"
)
_BEFORE_POINTER = _any(
    "in of for with from by at on to after before despite without like unlike under besides beyond given using because "
    "due thanks all any each some many most few one two three none half part much everything instead"
)
_ORDINAL = (
    rf"{_any('the my our a its')} "
    rf"{_any('second third fourth fifth sixth former latter others? same rest remaining')}\b"
    rf"(?! (?:{_any('hand half way world day time thing as')}|of (?:my|the|our|your))\b)|"
    rf"the (?:first|last|next)(?: one)? "
    rf"(?:{_any('is was are were one two three takes asks says')}|of (?:these|those|them))"
)
_WHEN = (
    rf"{_any('when if once since although though while as until unless whenever how why where what')} "
    rf"{_any('he she it they this that these those him her them')}\b{_NOT_TEXT}(?! (?:comes|came|rains?) )"
)
_BEGINNING = re.compile(
    rf"^(?:{_CONNECTIVE}|{_PHRASE}|{_PRONOUN}|{_ORDINAL}|{_WHEN}|{_FOREIGN}|"
    rf"{_BEFORE_POINTER}(?: of| to)? (?:this|that|these|those|them|it|which|both)\b{_NOT_TEXT})\b",
    re.I,
)
_LEFT_OUT = re.compile(
    rf"^(?!.*\b{_any('what how where who which why when as than that because if')}\b)(?:[\w’'-]+ ){{1,4}}"
    rf"{_any('do does did is are was were has have had can could will would should must might')}"
    r"(?:n['’]t| not| so| too)?[.:!]$",
    re.I,
)
"""The verb that says what it is about stands in the sentence before: "Three things do:", "Mine does not."."""
_COUNTED = re.compile(r"^there (?:are|were) \w+[:.]$", re.I)
_DEGREE = _any("not also now often very quite so too more really never always just")
_JUDGED = _any(
    "hard easy easier possible impossible important worth true useful tempting common clear likely best better good "
    "nice necessary safe fine great rare time said known"
)
_EMPTY = re.compile(
    rf"^(?:it(?:['’]s| (?:is|was|would be|may be|can be|might be|seems|looks)) (?:{_DEGREE} )*{_JUDGED}\b(?! of)|"
    rf"it (?:{_DEGREE} )*(?:rain(?:s|ed)|seems|turn(?:s|ed) out|t(?:akes|ook) .*\bto)\b|"
    rf"th(?:is|ese) (?:\w+ )?{_TEXT}s?\b|th(?:is|ese) .*:$)",
    re.I,
)
"""Openings that look like pointers and are none: an empty "it", what speaks of the text itself, and what announces."""
_POINTING = re.compile(
    rf"^{_any('i we you they he she')}(?:['’]\w+)?\s+(?:\w+\s+){{1,2}}(?:it|them|this|these|those)\b{_NOT_TEXT}|"
    r"\b(?:all|any|none|most) of (?:this|that|it)\b",
    re.I,
)
_FEW_WORDS = 5
_SOMETHING = re.compile(rf"\b{_any('it them this that these those they')}\b", re.I)
_PERSON = re.compile(rf"\b{_any('he she him his hers? himself herself')}\b", re.I)
_NAMED = re.compile(
    rf"\b{_any('the an? my our your each every some any no nobody people who whoever')}\b|"
    r"\b(?:some|any|every)(?:one|body)\b",
    re.I,
)


def leans(sentence: str) -> bool:
    """Whether a reader needs the sentence before this one, which may close the paragraph before. One that begins with a
    small letter is the rest of a sentence that was cut in two."""
    plain = _plain(sentence)
    if _EMPTY.match(plain):
        return False
    if (
        plain[:1].islower()
        or _BEGINNING.match(plain)
        or _LEFT_OUT.match(plain)
        or _COUNTED.match(plain)
        or _speaks_of_a_stranger(plain)
    ):
        return True
    return len(plain.split()) <= _FEW_WORDS and _SOMETHING.search(plain) is not None


def points(sentence: str) -> bool:
    """Whether it points to what stands before it in its own paragraph, as in "I left them out", if it does not lean."""
    return bool(_POINTING.search(_plain(sentence)))


def _plain(sentence: str) -> str:
    """A sentence on one line, in plain letters, without the marks in front of it."""
    return " ".join(unicodedata.normalize("NFKC", sentence).split()).lstrip(_MARKS)


def _speaks_of_a_stranger(plain: str) -> bool:
    """Whether a person is spoken of as he or she before anybody was named."""
    person = _PERSON.search(plain)
    if person is None:
        return False
    before = plain[: person.start()]
    names = (word for word in WORD.findall(before) if word[:1].isupper() and word.casefold() not in STOP_WORDS)
    return not _NAMED.search(before) and next(names, None) is None
