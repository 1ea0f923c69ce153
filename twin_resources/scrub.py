"""Taking e-mail addresses and credentials out of text before any later stage sees it."""

from __future__ import annotations

import re
from collections import Counter

PATTERNS: dict[str, re.Pattern[str]] = {
    "private_key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.S),
    "api_key": re.compile(
        r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,}|hf_[A-Za-z0-9]{30,}|"
        r"sk-(?:proj-|ant-)?[A-Za-z0-9_-]{24,}|xox[abprs]-[A-Za-z0-9-]{20,}|AIza[0-9A-Za-z_-]{35})(?![A-Za-z0-9])"
    ),
    "email": re.compile(r"(?<![\w.+/-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}\b"),
}
_EXAMPLES = re.compile(r"@(?:[\w-]+\.)*example\.(?:com|org|net)$|^git@", re.I)


def scrub(text: str) -> tuple[str, Counter[str]]:
    """``text`` with each find replaced by ``[email]``, ``[api_key]`` or ``[private_key]``, and the counts by kind."""
    counts: Counter[str] = Counter()
    for kind, pattern in PATTERNS.items():

        def replace(match: re.Match[str], kind: str = kind) -> str:
            if _EXAMPLES.search(match.group()):
                return match.group()
            counts[kind] += 1
            return f"[{kind}]"

        text = pattern.sub(replace, text)
    return text, counts
