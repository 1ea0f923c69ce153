"""Making, listing and revoking API keys from the terminal."""

from __future__ import annotations

import sqlalchemy as sa

from twin_assets_tests.support.command_line import Twin
from twin_resources.database.schema import api_key
from twin_resources.storage.keys import digest


def test_a_key_is_printed_once_and_can_be_ended(ada: Twin, engine: sa.Engine) -> None:
    assert "no key yet" in ada("keys", "list")
    limits = ("--calls-a-minute", "60", "--tokens-a-day", "50000")
    made = ada.json("keys", "create", "website", "--kind", "reader", "--author", "ada", *limits)
    assert (made["name"], made["kind"], made["authors"]) == ("website", "reader", ["ada"])
    assert (made["calls_a_minute"], made["tokens_a_day"]) == (60, 50_000)
    with engine.connect() as session:
        assert bytes(session.scalar(sa.select(api_key.c.hash)) or b"") == digest(made["key"])
    assert "twin_" in ada("keys", "create", "me", "--kind", "admin")
    listed = {each["name"]: each for each in ada.json("keys", "list")}
    assert set(listed) == {"website", "me"}
    assert made["key"] not in str(listed)
    assert "0 of 50,000" in ada("keys", "list")
    assert "revoked" in ada("keys", "revoke", "website")
    assert "no key in use" in ada("keys", "revoke", "website", code=1)


def test_what_is_wrong_with_a_key_is_said(ada: Twin) -> None:
    assert "needs at least one author" in ada("keys", "create", "x", code=1)
    assert "leave the authors out" in ada("keys", "create", "x", "--kind", "admin", "--author", "ada", code=1)
    assert "kinds are: reader, author, admin" in ada("keys", "create", "x", "--kind", "owner", code=1)
    assert "no author 'cy'" in ada("keys", "create", "x", "--author", "cy", code=1)
