"""Approving adapters from the command line."""

from __future__ import annotations

import sqlalchemy as sa

from twin_assets_tests.support.command_line import URL, Twin, add_adapter, add_dataset, document_of
from twin_assets_tests.support.trainings import QUESTION, add_trainings


def test_only_what_passed_the_gate_is_approved(ada: Twin, engine: sa.Engine) -> None:
    assert "no version 'ada-9'" in ada("approve", "ada-9", code=1)
    add_dataset(engine, "d1", {"s1": (document_of(engine, URL), URL)})
    for version, passed in (("ada-1", True), ("ada-2", False), ("ada-3", None), ("ada-4", True)):
        add_adapter(engine, version, "d1", passed=passed)
    assert "did not pass the gate (loss)" in ada("approve", "ada-2", code=1)
    assert "it was not evaluated" in ada("approve", "ada-3", code=1)
    assert "no previous champion" in ada("rollback", code=1)
    ada("approve", "ada-1", "--by", "Ada", "--comment", "reads like me")
    assert "ada-4 now serves ada" in ada("approve", "ada-4")
    assert "ada-1 serves ada again" in ada("rollback", "--author", "ada")
    assert ada.json("status")["authors"][0]["champion"] == "ada-1"
    assert "ada-4 now answers 0.2 of the conversations with ada" in ada("canary", "ada-4", "--share", "0.2")
    assert ada.json("status")["authors"][0]["canary"] == "ada-4"
    assert "canary 20%" in ada("candidates")
    assert ada.json("canary", "ada-4")["share"] == 0.1, "where nobody names a share"
    assert "a share between 0 and 1" in ada("canary", "ada-4", "--share", "2", code=1)
    assert "ada-4 was rejected" in ada("reject", "ada-4", "--comment", "too long")
    assert ada.json("status")["authors"][0]["canary"] is None
    states = {release["version"]: (release["passed"], release["aliases"]) for release in ada.json("candidates")}
    assert states["ada-1"] == (True, ["champion"])
    assert states["ada-2"] == (False, [])


def test_adapters_are_compared_side_by_side(ada: Twin, engine: sa.Engine) -> None:
    add_trainings(engine, document_of(engine, URL))
    told = ada("compare", "ada-wide", "ada-narrow")
    lines = [line.split() for line in told.splitlines()]
    assert ["rank", "16", "4"] in lines
    assert ["support", *["80%", "(69%", "to", "88%)"] * 2] in lines
    assert QUESTION in told.splitlines()
    assert "  ada-narrow: Of rank 4, I say." in told.splitlines()
    assert "  the author: A reading." in told.splitlines()
    found = ada.json("compare", "ada-wide", "ada-old")
    assert found["differences"]["rank"] == [16, None]
    assert [each["version"] for each in found["experiments"]] == ["ada-wide", "ada-old"]
    assert "two versions or more" in ada("compare", "ada-wide", "ada-wide", code=1)
    assert "no version 'ada-none'" in ada("compare", "ada-wide", "ada-none", code=1)
