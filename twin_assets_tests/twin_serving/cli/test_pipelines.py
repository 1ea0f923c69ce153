"""Reading exports into the warehouse."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from twin_assets_tests.support.command_line import CONSENT, Twin, add_dataset
from twin_resources.config.settings import load
from twin_resources.database import schema
from twin_resources.storage.training.searches import Searches, Trial


def test_from_nothing_to_a_filled_warehouse(twin: Twin, data: Path) -> None:
    wrote = twin(
        "init", "--id", "ada", "--name", "Ada Example", "--consent", CONSENT, "--source", f"folder:{data}/folder"
    )
    assert "wrote" in wrote
    assert load().author("ada").sources[0].kind == "folder"

    first = twin.json("import", str(data / "medium" / "medium-export"))
    assert first["found"] == first["new"] + sum(first["skipped"].values()) + first["quarantined"]
    assert first["new"] > 0
    assert all(item["remedy"] for item in first["quarantined_items"])
    again = twin.json("import", str(data / "medium" / "medium-export"), "--author", "ada", "--format", "medium")
    assert (again["new"], again["changed"], again["unchanged"]) == (0, 0, first["new"])

    status = twin.json("status")
    assert status["authors"][0]["documents"] == first["new"]
    assert status["orchestration"]["daemon_alive"] is False
    assert [row["remedy"] for row in status["quarantine"]] == [item["remedy"] for item in first["quarantined_items"]]
    shown = twin("status")
    assert "stay queued until `twin up`" in shown
    assert "save it as UTF-8" in shown
    assert "no dataset version yet" in twin("datasets")
    assert twin.json("datasets") == []


def test_an_import_is_remembered_by_its_absolute_path(ada: Twin, engine: sa.Engine) -> None:
    with engine.connect() as session:
        rows = session.execute(sa.select(schema.source.c.location, schema.source.c.remembered)).all()
    assert [tuple(row) for row in rows] == [(str(ada.folder / "mine.jsonl"), True)]


def test_a_source_of_twin_yaml_is_not_remembered_a_second_time(ada: Twin, engine: sa.Engine) -> None:
    (ada.folder / "notes").mkdir()
    (ada.folder / "notes" / "a.md").write_text("# A note\n\nWith some words.")
    ada("import", "notes", "--format", "markdown")
    with engine.connect() as session:
        query = sa.select(schema.source.c.remembered).where(schema.source.c.kind == "folder")
        assert session.execute(query).scalar_one() is False


@pytest.mark.parametrize(
    ("arguments", "code", "remedy"),
    [
        (["nowhere"], 1, "no such file or folder"),
        (["https://github.com/ada/clock"], 1, "--format"),
        (["mine.jsonl", "--format", "word"], 2, "markdown"),
        (["mine.jsonl", "--option", "colour=red"], 1, "unknown option 'colour'"),
        (["mine.jsonl", "--option", "colour"], 2, "key=value"),
        (["mine.jsonl", "--format", "medium"], 1, "mine.jsonl"),
    ],
)
def test_what_cannot_be_imported_is_refused_and_not_remembered(
    ada: Twin, engine: sa.Engine, arguments: list[str], code: int, remedy: str
) -> None:
    assert remedy in ada("import", *arguments, code=code)
    with engine.connect() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(schema.source)) == 1


def test_an_imported_source_is_listed_read_again_and_dropped(ada: Twin, engine: sa.Engine) -> None:
    named, imported = ada.json("sources")
    assert (named["imported"], named["location"]) == (False, str(ada.folder / "notes"))
    assert (imported["imported"], imported["counts"]["new"]) == (True, 2)
    assert "mine.jsonl" in ada("sources")
    with (ada.folder / "mine.jsonl").open("a") as file:
        file.write('{"url": "https://ada.example/c", "text": "A third one."}\n')
    assert ada.json("sources", "--read", "mine.jsonl")["new"] == 1
    (ada.folder / "mine.jsonl").unlink()
    assert "no such file" in ada("sources", "--read", imported["id"][:12], code=1)
    assert "no such file" in ada.json("sources")[1]["failure"]
    assert "nothing.zip" in ada("sources", "--drop", "nothing.zip", code=1)
    assert ada.json("sources", "--drop", imported["id"])["gone"] == 3
    assert [row["location"] for row in ada.json("sources")] == [str(ada.folder / "notes")]


def test_a_source_of_twin_yaml_is_dropped_there(ada: Twin) -> None:
    (ada.folder / "notes").mkdir()
    (ada.folder / "notes" / "a.md").write_text("# A note\n\nWith some words.")
    ada("import", "notes", "--format", "markdown")
    assert "take it out there" in ada("sources", "--drop", "notes", code=1)


def test_what_a_search_found_is_shown(ada: Twin, engine: sa.Engine) -> None:
    assert "trainings use twin.yaml and the defaults" in ada("tune", "--show")
    add_dataset(engine, "d1", {})
    searches, base = Searches(engine), load().models.base
    searches.begin("5ea4c4", "ada", base=base, dataset_id="d1", measured_on="these")
    found = {"learning_rate": 0.002, "rank": 8}
    best = Trial(0, found, "complete", [(0, 3.0), (4, 2.5)], "", None)
    pruned = Trial(1, {"learning_rate": 0.0001, "rank": 4}, "pruned", [(0, 3.0)], "above the median", None)
    for trial in (best, pruned):
        searches.keep("5ea4c4", trial)
    searches.end("5ea4c4", best, 2)
    shown = ada("tune", "--show")
    assert "pruned: above the median" in shown
    assert "rank 8, learning_rate 0.002\nfrom search 5ea4c4: validation loss 2.5000 after 2 trials" in shown
    printed = ada.json("tune", "--show")
    assert printed["best"]["parameters"] == found
    assert [trial["state"] for trial in printed["trials"]] == ["complete", "pruned"]
    assert "--show" in ada("tune", "--json", code=1)
