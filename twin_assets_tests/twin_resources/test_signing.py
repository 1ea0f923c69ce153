"""What a signature holds together, and what it does not let through."""

from __future__ import annotations

import base64
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from twin_resources.signing import SignatureError, Signed, Signer, canonical, verify

STATEMENT = {"answer": "Ja, på onsdag.", "author": {"name": "Ada"}, "support": 1.0, "passages": [{"url": "u"}]}


@pytest.fixture
def signer() -> Signer:
    return Signer(bytes(range(32)))


def test_a_statement_is_known_again_by_whoever_has_the_key(signer: Signer) -> None:
    signed = signer.sign(STATEMENT)
    assert verify(signed, signer.public_key) == STATEMENT
    other_order = dict(reversed(STATEMENT.items()))
    assert verify(replace(signed, statement=other_order)) == STATEMENT, "the order of keys means nothing"


def test_the_bytes_that_are_signed_and_the_signature_never_change(signer: Signer) -> None:
    assert canonical({"b": "å", "a": [1, None]}) == '{"a":[1,null],"b":"å"}'.encode()
    assert signer.public_key == "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
    assert signer.sign({}).signature == signer.sign({}).signature


@pytest.mark.parametrize(
    "changes",
    [
        {"statement": {**STATEMENT, "answer": "Nei."}},
        {"statement": {**STATEMENT, "passages": []}},
        {"signature": base64.b64encode(bytes(64)).decode()},
        {"signature": "nonsense"},
        {"public_key": Signer(bytes(32)).public_key},
        {"public_key": "AAAA"},
        {"algorithm": "none"},
    ],
)
def test_whatever_was_changed_is_found(signer: Signer, changes: dict) -> None:
    with pytest.raises(SignatureError):
        verify(replace(signer.sign(STATEMENT), **changes))


def test_anothers_statement_is_not_taken_for_this_twins(signer: Signer) -> None:
    forged: Signed = Signer(bytes(32)).sign(STATEMENT)
    assert verify(forged) == STATEMENT
    with pytest.raises(SignatureError, match="signed with another key"):
        verify(forged, signer.public_key)


def test_a_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "home" / "signing.key"
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(Signer.of(file, None).public_key)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1, "who comes at the same time gets the same key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["signing.key"]
    given = base64.b64encode(bytes(range(32))).decode()
    assert Signer.of(file, given).public_key == Signer(bytes(range(32))).public_key
    with pytest.raises(SignatureError, match="TWIN_SIGNING_KEY is not 32 bytes in base64"):
        Signer.of(file, "short")
    file.write_text("broken")
    with pytest.raises(SignatureError, match=r"signing\.key is not 32 bytes"):
        Signer.of(file, None)
