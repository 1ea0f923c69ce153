"""What is personal or secret goes, and what only looks like it stays."""

from __future__ import annotations

import random
import string
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin_resources.text import pii as scrubbing
from twin_resources.text.pii import ScrubError, scrub

LETTERS = string.ascii_letters + string.digits
LOT = random.Random(7)


def drawn(length: int, letters: str = LETTERS) -> str:
    """A made-up key, drawn here so that none stands in this file."""
    return "".join(LOT.choices(letters, k=length - 4)) + "aB3d"


KEYS = [
    "AKIA" + drawn(16, string.ascii_uppercase + string.digits).upper(),
    "gh" + "p_" + drawn(36),
    "github" + "_pat_" + drawn(60),
    "glpat" + "-" + drawn(20),
    "hf" + "_" + drawn(34),
    "sk" + "-proj-" + drawn(40),
    "sk" + "-ant-" + drawn(40),
    "xox" + "b-" + "1234567890-" + drawn(24),
    "sk" + "_live_" + drawn(24),
    "AIza" + drawn(35),
    "npm" + "_" + drawn(36),
    "SG" + "." + drawn(22) + "." + drawn(43),
    "eyJ" + drawn(20) + ".eyJ" + drawn(30) + "." + drawn(43),
]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:6])
@pytest.mark.parametrize("around", ["{}", "Use {}, please.", "client = Client('{}')", "export KEY={}\n"])
def test_keys_of_known_services_go(key: str, around: str) -> None:
    text, found = scrub(around.format(key))
    assert key not in text
    assert found.total() == 1
    assert scrub(text)[0] == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f'client_secret = "{drawn(32)}"', 'client_secret = "[secret]"'),
        (f"AWS_SECRET_ACCESS_KEY={drawn(40)}\n", "AWS_SECRET_ACCESS_KEY=[secret]\n"),
        (f'"apiKey": "{drawn(24)}",', '"apiKey": "[secret]",'),
        ("postgres://ada:kr4b8nsalat@db:5432/x", "postgres://ada:[secret]@db:5432/x"),
        (f"Authorization: Bearer {drawn(30)}", "Authorization: Bearer [secret]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "[private_key]"),
        ("Write to mira.holm+boats@harbour.no.", "Write to [email]."),
        ("Card 4111 1111 1111 1111, thanks", "Card [card], thanks"),
        ("378282246310005", "[card]"),
        ("IBAN DE89 3704 0044 0532 0130 00 (mine)", "IBAN [iban] (mine)"),
        ("NO9386011117947", "[iban]"),
        ("Ring +47 22 85 50 50 or +49 (0) 30 901820.", "Ring [phone] or [phone]."),
        ("Call 020 7946 0018 now", "Call [phone] now"),
        ("(212) 736-5000, 212-736-5000 and 212.736.5000", "[phone], [phone] and [phone]"),
        ('<a href="tel:+14155552671">', '<a href="tel:[phone]">'),
    ],
)
def test_each_kind_goes(text: str, left: str) -> None:
    assert scrub(text)[0] == left
    assert scrub(left)[0] == left


@pytest.mark.parametrize(
    "text",
    [
        "Python 3.11.7 and 2.31.0.dev1234567, build 20240131.1530",
        "ISBN 978-3-16-148410-0 and 3-598-21508-8",
        "2024-01-31 15:30:00, 31.01.2024, 20:15-21:45, 1700000000000",
        "0.531441 0.56396466 [-122.5292336382,37.4239030609]",
        "loss 3.427 to 3.058, 227 and 103 tokens/s, 1,400 abstracts, 4.624e-05",
        "192.168.178.201:8000, 10.0.0.0/8, fe80::1ff:fe23:4567:890a",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "id = 1234567812345670123, tweet 1488914526341234688, 4111111111111112",
        "token = os.environ['TOKEN'], token=your-token-here-123456, password: str = Field(min_length=8)",
        "secrets.token_hex(32); api_key=settings.api_key_2; max_tokens: 2048, tokenizer = AutoTokenizer1",
        "tokens_path = 'data/tokens-382418-fee63d63124b.json'",
        "postgres://postgres:postgres@db/x, postgres://user:PASSWORD@host/db",
        "git@github.com:ada/boats.git, ssh ada@harbour.no, @ada@social.harbour.no, a@example.com",
        "I'll call\n2022-08-03 02:57:55",
        "1 800 000 000 rows; 555 1234; call it 12",
        "GB00 WEST 1234 5698 7654 32 and DE12 is a postcode",
    ],
)
def test_technical_text_stays(text: str) -> None:
    assert scrub(text) == (text, {})


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text(max_size=120) | st.text(alphabet="0123456789 +-().@:/=sk_Aa\n", max_size=80))
def test_any_text_is_scrubbed_once_for_all(text: str) -> None:
    made, _ = scrub(text)
    assert scrub(made)[0] == made


def test_real_technical_articles_lose_no_figure(real_data: Path) -> None:
    found: dict[str, set[str]] = {}
    for path in sorted((real_data / "authors" / "til").rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        for kind, find in scrubbing._FINDERS:
            found.setdefault(kind, set()).update(text[start:end] for start, end in find(text))
    assert found["phone"] == {"(415) 357-4000", "(415) 345-6800", "833-480-4700"}, "a museum's, and a shop's"
    assert not (found["card"] | found["iban"] | found["secret"] | found["api_key"] | found["private_key"])


def test_names_without_presidio_are_answered_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    scrubbing._analyzer.cache_clear()
    with pytest.raises(ScrubError, match=r"llm-twin\[pii\].*names: false"):
        scrub("Mira Holm wrote it.", names=True)
    assert scrub("Mira Holm wrote it.")[0] == "Mira Holm wrote it."
