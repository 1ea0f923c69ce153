"""Texts without their topic: function words and punctuation stay, content words become a mark of their shape.

Text distortion with asterisks is DV-MA of Stamatatos 2017 ("Authorship attribution using text distortion"); the tokens
for grammar models are what part-of-speech noise masking leaves (Nini et al. 2024), with the class of a content word
read from its spelling, so that no tagger is needed.
"""

from __future__ import annotations

import functools
import re

FUNCTION_WORDS: tuple[str, ...] = tuple(
    dict.fromkeys(
        re.findall(
            r"\S+",
            """
            a about above across actually after afterwards again against ago all almost alone along already also
            although always am among amongst an and another any anybody anyhow anymore anyone anything anyway anywhere
            apart apparently are aren't around as aside at away back basically be became because become becomes been
            before beforehand behind being below beneath beside besides best better between beyond both but by came can
            can't cannot certain certainly clearly come comes completely could couldn't currently definitely despite did
            didn't different do does doesn't doing don't done down due during each earlier easily either else elsewhere
            enough entirely especially essentially etc even eventually ever every everybody everyone everything
            everywhere exactly except fairly far few fewer finally first firstly for former frequently from fully
            further furthermore generally get gets getting give given gives go goes going gone gonna got gotten had
            hadn't hardly has hasn't have haven't having he he'd he'll he's hence her here here's hers herself him
            himself his how how's however i i'd i'll i'm i've if in indeed inside instead into is isn't it it'd it'll
            it's its itself just keep keeps kept kind last lately later latter least less lest let let's like likely
            literally little lots lot made mainly make makes making many may maybe me mean means meanwhile merely might
            mine more moreover most mostly much must my myself namely nearly neither never nevertheless next no nobody
            none nonetheless nope nor normally not nothing now nowhere obviously occasionally of off often ok okay on
            once one one's ones only onto or other others otherwise ought our ours ourselves out outside over overall
            own particular particularly per perhaps personally please plus possible possibly precisely presumably pretty
            previously primarily probably put quite rarely rather readily really recently regardless relatively right
            roughly said same saw say says second secondly see seem seemed seems seen several shall she she'd she'll
            she's should shouldn't simply since so some somebody somehow someone something sometimes somewhat somewhere
            soon sort specifically still such suddenly sure surely take takes taken taking than that that'd that'll
            that's the their theirs them themselves then there there'd there'll there's thereby therefore these they
            they'd they'll they're they've thing things third this those though through throughout thus to together too
            took toward towards truly typically ultimately under underneath unfortunately unless unlike until up upon us
            use used using usually various versus very via was wasn't way we we'd we'll we're we've well went were
            weren't what what's whatever when when's whenever where where's whereas wherever whether which whichever
            while who who'd who'll who's whoever whole whom whose why will with within without won't would wouldn't yeah
            yep yes yet you you'd you'll you're you've your yours yourself yourselves
            """,
        )
    )
)
_MARKS = (".", ",", ";", ":", "!", "?", "...", "—", "-", "(", ")", '"', "'", "/", "&", "%", "other mark")
_CLASSES = (
    "number", "capitals", "name", "mixed", "ing", "ed", "ly", "s", "noun", "adjective", "short word", "word",
)  # fmt: skip
START, END = "start", "end"
TOKENS: tuple[str, ...] = (START, END, *_MARKS, *_CLASSES, *FUNCTION_WORDS)
"""What a sentence is made of for a grammar model; a token travels as its place in here."""

PLACES = {token: place for place, token in enumerate(TOKENS)}
IS_FUNCTION = frozenset(FUNCTION_WORDS)
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*|\.{3}|[^\w\s]|_")
WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
"""A word of plain text; ``don't`` is one."""
_NOUN = ("tion", "sion", "ment", "ness", "ity", "ance", "ence", "ship", "er", "or", "ism", "age")
_ADJECTIVE = ("able", "ible", "al", "ful", "less", "ous", "ive", "ic", "ish", "ant", "ent")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[\"'(]?[^\W_a-z])")


def distort(text: str) -> str:
    """``text`` in lower case with ``*`` for every letter of a content word and ``#`` for every digit."""
    return WORD.sub(_stars, text)


def _stars(match: re.Match[str]) -> str:
    word = match.group().lower()
    if word in IS_FUNCTION:
        return word
    return re.sub(r"[^\W\d]", "*", re.sub(r"\d", "#", word))


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, ``don't`` as one."""
    return [match.group().lower() for match in WORD.finditer(text)]


def grammar(text: str) -> list[list[int]]:
    """The tokens of each sentence of plain ``text``, as places in :data:`TOKENS`, without the marks of its ends."""
    return [[PLACES[_class(token)] for token in _TOKEN.findall(sentence)] for sentence in _SENTENCE.split(text)]


@functools.lru_cache(maxsize=65536)
def _class(token: str) -> str:
    """The token that stands for a word or mark."""
    low = token.lower()
    if low in IS_FUNCTION or token in _MARKS:
        return low
    if not token[0].isalnum():
        return "other mark"
    if token.isdigit():
        return "number"
    if len(token) > 1 and token.isupper():
        return "capitals"
    if any(letter.isupper() or letter.isdigit() for letter in token[1:]):
        return "mixed"
    if token[0].isupper():
        return "name"
    return _shape(low)


def _shape(word: str) -> str:
    if len(word) <= 4:
        return "short word"
    for ending in ("ing", "ed", "ly"):
        if word.endswith(ending):
            return ending
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return "s"
    if word.endswith(_NOUN):
        return "noun"
    return "adjective" if word.endswith(_ADJECTIVE) else "word"
