"""What must not be learned whatever it says: personal data, secrets, instructions hidden in text, control tokens,
boilerplate of pages."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from twin_resources.quality.injections import injected
from twin_resources.quality.samples import Check, Flag, Sample
from twin_resources.rag.prompt import control_tokens
from twin_resources.text.pii import scrub

SECRET = Check("secret", "a key, token or password stands in it")
PERSONAL = Check("personal_data", "a mail address, a telephone, card or account number stands in it", allowed=0.005)
INJECTION = Check("injection", "text that gives orders to a model that reads it", allowed=0.002)
CONTROL = Check("control_token", "what a model reads as the end of a turn or of the text")
BOILERPLATE = Check("boilerplate", "the answer is mostly buttons and notices of a page", allowed=0.05, blocking=False)
CHECKS = (SECRET, PERSONAL, INJECTION, CONTROL, BOILERPLATE)

_SECRETS = frozenset({"private_key", "api_key", "secret"})
_FURNITURE = re.compile(
    r"""^\W*(?:
    sign\ (?:in|up)|log\ ?in|subscribed?(?:\ now)?|upgrade\ to\ paid|already\ have\ an\ account\?.{0,20}|
    share(?:\ this\ post)?|copy\ link|facebook|twitter|email|notes?|more|follow|listen|like|reply|restack|
    leave\ a\ comment|open\ in\ app|get\ the\ app|start\ writing|(?:continue\ reading|read\ more)|
    previous|next|home|about|contact|menu|search|skip\ to\ (?:main\ )?content|\d+\ min\ read|
    \d+\ (?:likes?|comments?|claps?|shares?)|privacy(?:\ policy)?|terms(?:\ of\ (?:use|service))?|
    cookies?(?:\ policy|\ settings)?|accept\ (?:all\ )?cookies|(?:we|this\ site)\ uses?\ cookies.{0,160}|
    all\ rights\ reserved|©.{0,80}|thanks\ for\ reading.{0,120}|.{0,60}is\ a\ reader-supported\ publication.{0,160}
    )\W*$""",
    re.I | re.X,
)
_MOSTLY = 0.5


def inspect(sample: Sample) -> Iterator[Flag]:
    """What of all this stands in one sample."""
    text = sample.text
    _, counts = scrub(text)
    secrets = sorted(kind for kind in counts if kind in _SECRETS)
    personal = sorted(kind for kind in counts if kind not in _SECRETS)
    if secrets:
        yield Flag(sample.index, SECRET.name, f"{', '.join(secrets)} in its text")
    if personal:
        yield Flag(sample.index, PERSONAL.name, f"{', '.join(personal)} in its text")
    if found := injected(text):
        yield Flag(sample.index, INJECTION.name, found)
    if tokens := control_tokens(unicodedata.normalize("NFKC", text)):
        yield Flag(sample.index, CONTROL.name, f"{', '.join(tokens[:3])} in its text")
    lines = [line for line in sample.answer.splitlines() if line.strip()]
    words = sum(len(line.split()) for line in lines)
    if words and sum(len(line.split()) for line in lines if _FURNITURE.match(line)) > _MOSTLY * words:
        yield Flag(sample.index, BOILERPLATE.name, "more than half of the answer is what pages show around a text")
