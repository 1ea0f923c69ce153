"""Taking personal data and credentials out of text before any later stage sees it.

A find needs more than its shape: telephone numbers are valid in a numbering plan, card numbers pass Luhn's check
(ISO/IEC 7812), account numbers theirs (ISO 13616), and a value assigned to something called a secret has the entropy
of one. So version numbers, dates, ISBNs and measurements stay.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable

from twin_resources.errors import TwinError

_KEYS = re.compile(
    r"\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,}|glpat-[\w-]{20,}|"
    r"hf_[A-Za-z0-9]{30,}|sk-(?:proj-|svcacct-|ant-)?[A-Za-z0-9_-]{24,}|xox[abeoprs]-[A-Za-z0-9-]{20,}|"
    r"xapp-\d-[A-Za-z0-9-]{20,}|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{24,}|"
    r"AIza[0-9A-Za-z_-]{35}|ya29\.[\w-]{30,}|GOCSPX-[\w-]{24,}|npm_[A-Za-z0-9]{36}|pypi-AgE[\w-]{50,}|"
    r"SG\.[\w-]{20,24}\.[\w-]{40,46}|dop_v1_[0-9a-f]{64}|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|"
    r"gsk_[A-Za-z0-9]{40,}|r8_[A-Za-z0-9]{30,}|pplx-[A-Za-z0-9]{32,}|xai-[A-Za-z0-9]{40,}|nvapi-[\w-]{40,}|"
    r"dapi[0-9a-f]{32}|dckr_(?:pat|oat)_[\w-]{20,}|lin_api_[A-Za-z0-9]{32,}|ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43}|"
    r"PMAK-[A-Za-z0-9]{24}-[A-Za-z0-9]{34}|hv[sb]\.[\w-]{24,}|glsa_\w{32,}|pscale_(?:tkn|pw|oauth)_[\w.-]{32,}|"
    r"ATATT3[\w=-]{40,}|figd_[\w-]{30,}|nfp_[A-Za-z0-9]{36}|sbp_[0-9a-f]{40}|rubygems_[0-9a-f]{48}|sntrys_[\w+/=-]{40,}|"
    r"sq0(?:atp|csp)-[\w-]{22,}|NRAK-[A-Z0-9]{27}|dp\.(?:pt|st|ct)\.[\w.-]{40,}|tskey-[a-z]+-[\w-]{20,}|"
    r"AGE-SECRET-KEY-1[0-9A-Z]{58}|(?:SK|AC)[0-9a-f]{32}|key-[0-9a-f]{32}|sk-or-v1-[0-9a-f]{40,}|glrt-[\w-]{20}|"
    r"[MNO][A-Za-z\d_-]{23,25}\.[\w-]{6}\.[\w-]{27,38}|\d{8,10}:AA[\w-]{33}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,})(?![A-Za-z0-9])"
)
_WEBHOOK = re.compile(r"(?<=hooks\.slack\.com/services/)T\w{6,}/B\w{6,}/\w{16,}")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?P<kind>[A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?)-----"
    r"(?:.*?-----END (?P=kind)-----|(?:\s+[A-Za-z0-9+/=]{16,})+)",
    re.S,
)
_IN_URL = re.compile(r"(?<=://)([^\s/:@\"'<>]*):([^\s/@\"'<>]{3,})(?=@[\w.-]+)")
_ASSIGNED = re.compile(
    r"""(?:secret|token|passw(?:or)?d|passphrase|pwd|api[_-]?key|access[_-]?key|account[_-]?key|
    auth[_-]?key|private[_-]?key|credentials?)(?P<rest>[\w.-]{0,30})["']?\s*(?:=>|:=|[:=])\s*
    (?:(?P<quote>["'])(?P<inside>[^"'\s]{8,200})(?P=quote)|(?P<bare>[A-Za-z0-9+/_.~-]{16,200}={0,2})(?=\s|$|;|,))""",
    re.I | re.X,
)
_BEARER = re.compile(r"(?<=\bBearer )[A-Za-z0-9+/_.~-]{20,}={0,2}", re.I)
_NO_SECRET = re.compile(r"(?:path|file|url|name|id|dir|type|count|limit)s?$", re.I)
_PLACEHOLDER = re.compile(
    r"your|example|placeholder|changeme|dummy|x{4,}|\*{3,}|\.{3}|<|>|\{|\}|\$|\(|\[|%s|_here$", re.I
)
_EMAIL = re.compile(r"(?<![\w.+/@-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}\b")
_EXAMPLES = re.compile(r"@(?:[\w-]+\.)*example\.(?:com|org|net)$|^git@", re.I)
_LOGIN = re.compile(r"(?:\b(?:ssh|scp|sftp|rsync) (?:-\S+ )*|://[^\s/@]*)\Z")
"""What stands in front of ``user@host`` when that is a login and no address for mail."""
_CARD = re.compile(r"(?<![\w./=-])(?:\d{4}([ -]?)\d{4}\1\d{4}\1\d{4}|3[47]\d{2}([ -]?)\d{6}\2\d{5})(?![\w/-]|\.\d)")
_CARD_ISSUER = re.compile(r"4|5[1-5]|2[2-7]|3[47]|6(?:011|4|5)")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "CH": 21,
    "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18,
    "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23,
    "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27,
    "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29,
    "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TN": 24, "TR": 26,
    "UA": 29, "VA": 22, "XK": 20,
}  # fmt: skip
_ABROAD = re.compile(r"(?<![\w+./=-])\+\d(?:[ ().\u00a0/-]{0,2}\d){6,14}(?![\w]|\.\d)")
_NORTH_AMERICAN = re.compile(r"(?<![\w.,/=+(-])(?:\([2-9]\d\d\) ?|[2-9]\d\d[-.])[2-9]\d\d[-.]\d{4}(?![\w-]|\.\d)")
_CALLED = re.compile(
    r"(?:\b(?:tele?(?:phone|fon)?|phone|mobile?|cell(?:phone)?|fax|whats ?app|sms|handy|t[ée]l(?:[ée]phone)?|"
    r"m[óo]vil|call(?: me)?|ring(?: me)?|text me|reach me)\b(?: number| no\.?| nr\.?)?(?: (?:at|on|is|under))?"
    r"[ \t]?[\"']?[ \t]?[:.=]?[ \t]?[\"']?|\btel:)"
    r"(?P<number>(?!\d{4}-\d\d-\d\d)\+?\(?\d(?:[ ().\u00a0/-]{0,2}\d){6,14})(?![\w]|\.\d)",
    re.I,
)
_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "SE", "NO", "DK", "PL", "IN", "AU", "BR", "CH", "AT", "RO", "IE")
_SECRET_BITS = 3.0
"""Bits of entropy a character (Shannon 1948, over the value's own letters) from which a value is taken for random."""

Find = tuple[int, int]


class ScrubError(TwinError):
    """Names are to be found, and what finds them is not installed; says what to do."""


def scrub(text: str, *, names: bool = False, keep: Iterable[str] = ()) -> tuple[str, Counter[str]]:
    """``text`` with each find replaced by its kind in brackets, and the counts by kind.

    Kinds: ``private_key``, ``api_key``, ``secret``, ``iban``, ``card``, ``email``, ``phone``, and ``person`` when
    ``names``, which needs Presidio. Scrubbing twice changes nothing more.

    Args:
        names: also take out the names of people other than ``keep``.

    Raises:
        ScrubError: ``names`` without Presidio or its language model.
    """
    counts: Counter[str] = Counter()
    for kind, find in _FINDERS:
        text = _replaced(text, kind, find(text), counts)
    if names:
        text = _replaced(text, "person", _people(text, keep), counts)
    return text, counts


def storable(text: str) -> str:
    """``text`` as calls are kept and told: scrubbed, and without the null character, which Postgres does not take."""
    return scrub(text.replace("\x00", ""))[0]


def _replaced(text: str, kind: str, finds: Iterable[Find], counts: Counter[str]) -> str:
    parts, at = [], 0
    for start, end in sorted(finds):
        if start >= at:
            parts += [text[at:start], f"[{kind}]"]
            at = end
            counts[kind] += 1
    return "".join([*parts, text[at:]]) if parts else text


def _private_keys(text: str) -> list[Find]:
    return [match.span() for match in _PRIVATE_KEY.finditer(text)] if "PRIVATE KEY" in text else []


def _keys(text: str) -> list[Find]:
    return [match.span() for pattern in (_KEYS, _WEBHOOK) for match in pattern.finditer(text)]


def _secrets(text: str) -> list[Find]:
    found = [match.span(2) for match in _IN_URL.finditer(text) if _is_password(match.group(2), match.group(1))]
    found += [match.span() for match in _BEARER.finditer(text) if _is_random(match.group())]
    for match in _ASSIGNED.finditer(text):
        group = "inside" if match.group("inside") else "bare"
        if not _NO_SECRET.search(match.group("rest")) and _is_random(match.group(group)):
            found.append(match.span(group))
    return found


def _is_password(value: str, user: str) -> bool:
    return not (
        _PLACEHOLDER.search(value) or value == user or re.search(r"passw(?:or)?d|^(?:pass|secret)$", value, re.I)
    )


def _is_random(value: str) -> bool:
    """Whether ``value`` looks drawn by lot: letters and digits mixed, many different ones, no word of a template."""
    if _PLACEHOLDER.search(value) or not re.search(r"\d", value) or not re.search(r"[A-Za-z]", value):
        return False
    if re.fullmatch(r"[A-Za-z]+(?:[._-][A-Za-z0-9]{1,12})+|[A-Za-z_]+\d{1,3}", value) and not re.search(
        r"\d[A-Za-z]+\d|[A-Z][a-z]*\d[A-Z]", value
    ):
        return False
    return entropy(value) >= _SECRET_BITS


def entropy(value: str) -> float:
    """Bits a character of ``value``, from how often each of its characters occurs in it."""
    total = len(value)
    return -sum(count / total * math.log2(count / total) for count in Counter(value).values()) if total else 0.0


def _ibans(text: str) -> list[Find]:
    found = []
    for match in _IBAN.finditer(text):
        start, end = match.span()
        length = _IBAN_LENGTHS.get(text[start : start + 2])
        compact = ""
        for at in range(start, end):
            compact += text[at].strip()
            if len(compact) == length:
                rest = compact[4:] + compact[:4]
                if int("".join(str(int(letter, 36)) for letter in rest)) % 97 == 1:
                    found.append((start, at + 1))
                break
    return found


def _cards(text: str) -> list[Find]:
    return [match.span() for match in _CARD.finditer(text) if _passes_luhn(re.sub(r"\D", "", match.group()))]


def _passes_luhn(digits: str) -> bool:
    if not _CARD_ISSUER.match(digits) or len(set(digits)) < 2:
        return False
    doubled = [int(digit) * (2 if index % 2 else 1) for index, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _emails(text: str) -> list[Find]:
    return [
        match.span()
        for match in _EMAIL.finditer(text)
        if not _EXAMPLES.search(match.group()) and not _LOGIN.search(text, max(0, match.start() - 80), match.start())
    ]


def _phones(text: str) -> list[Find]:
    found = [match.span() for match in _ABROAD.finditer(text) if _is_phone(match.group(), ())]
    found += [match.span() for match in _NORTH_AMERICAN.finditer(text) if _is_phone(match.group(), ("US",))]
    for match in _CALLED.finditer(text):
        if _is_phone(match.group("number"), _REGIONS):
            found.append(match.span("number"))
    return found


def _is_phone(number: str, regions: Iterable[str]) -> bool:
    import phonenumbers

    if number.startswith("+"):
        regions = (None,)  # pyright: ignore[reportAssignmentType]
    for region in regions:
        try:
            if phonenumbers.is_valid_number(phonenumbers.parse(number, region)):
                return True
        except phonenumbers.NumberParseException:
            continue
    return False


def _people(text: str, keep: Iterable[str]) -> list[Find]:
    kept = {part for name in keep for part in (name.casefold(), *name.casefold().split())}
    analyzer = _analyzer()
    found = analyzer.analyze(text=text, entities=["PERSON"], language="en", score_threshold=0.6)
    return [(hit.start, hit.end) for hit in found if text[hit.start : hit.end].casefold() not in kept]


@functools.cache
def _analyzer():
    """Presidio with the spaCy model that is installed.

    Raises:
        ScrubError: one of them is missing.
    """
    try:
        import spacy.util  # pyright: ignore[reportMissingImports]
        from presidio_analyzer import AnalyzerEngine  # pyright: ignore[reportMissingImports]
        from presidio_analyzer.nlp_engine import NlpEngineProvider  # pyright: ignore[reportMissingImports]
    except ImportError as problem:
        raise ScrubError(
            "privacy.names is on, but Presidio is not installed: run `pip install 'llm-twin[pii]'`, or set "
            "`privacy: {names: false}` in twin.yaml"
        ) from problem
    installed = sorted(model for model in spacy.util.get_installed_models() if model.startswith("en_core_web"))
    if not installed:
        raise ScrubError(
            "privacy.names is on, but spaCy has no English model: run `python -m spacy download en_core_web_sm`, or "
            "set `privacy: {names: false}` in twin.yaml"
        )
    models = [{"lang_code": "en", "model_name": installed[0]}]
    provider = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models})
    return AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])


_FINDERS: tuple[tuple[str, Callable[[str], list[Find]]], ...] = (
    ("private_key", _private_keys),
    ("api_key", _keys),
    ("secret", _secrets),
    ("iban", _ibans),
    ("card", _cards),
    ("email", _emails),
    ("phone", _phones),
)
