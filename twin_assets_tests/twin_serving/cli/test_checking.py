"""``twin check-dataset``: what it prints, how it ends, and the page it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from twin_serving.cli.main import app

TEXT = "The ferry leaves at six. Whoever is late waits for the next one and drinks 2 cups of coffee at the quay."


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["check-dataset", "--no-embed", *map(str, arguments)], prog_name="twin")
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def files(tmp_path: Path) -> Path:
    rows = [{"instruction": f"What about {part[:20]}?", "output": part} for part in TEXT.split(". ")]
    (tmp_path / "train.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "source.md").write_text(TEXT, encoding="utf-8")
    (tmp_path / "other.txt").write_text("Nothing of it.", encoding="utf-8")
    return tmp_path


def test_a_clean_dataset_passes_with_exactly_these_fields(files: Path) -> None:
    code, printed, _ = run(files / "train.json", "--sources", files / "source.md", files / "other.txt", "--json")
    found = json.loads(printed)
    assert code == 0
    assert set(found) == {"passed", "samples", "flagged", "shares"}
    assert (found["passed"], found["samples"], found["flagged"]) == (True, 2, [])
    assert found["shares"]["ungrounded"] == 0.0
    assert run("--sources", files / "source.md", files / "train.json")[0] == 0


def test_a_blocked_dataset_ends_with_one_and_its_page_needs_nothing_else(files: Path) -> None:
    (files / "test.json").write_text((files / "train.json").read_text().replace("2 cups", "<b>9</b> cups"))
    page = files / "out" / "page.html"
    arguments = (files / "train.json", files / "test.json", "--sources", files / "source.md")
    code, printed, _ = run(*arguments, "--report", page, "--json")
    found = json.loads(printed)
    assert code == 1
    assert not found["passed"]
    assert {"index", "check", "reason"} == set(found["flagged"][0])
    assert {(each["index"], each["check"]) for each in found["flagged"]} >= {
        (2, "leaked_instruction"),
        (3, "invented_number"),
    }
    text = page.read_text(encoding="utf-8")
    assert "FAILED" in text
    assert "leaked_instruction" in text
    assert 'src="data:image/png;base64,' in text
    assert "<b>9" not in text
    assert "http://" not in text
    assert "blocked by" in run(*arguments)[1]


@pytest.mark.parametrize("arguments", [("gone.json",), ("broken.json",), ("train.json", "--sources", "gone.md")])
def test_unusable_input_ends_with_two_and_says_what_to_do(files: Path, arguments: tuple[str, ...]) -> None:
    (files / "broken.json").write_text("{", encoding="utf-8")
    code, printed, said = run(*(each if each.startswith("-") else files / each for each in arguments))
    assert code == 2
    assert printed == ""
    assert said.startswith("twin: ")
    assert "; " in said


def test_the_handbooks_generated_dataset_is_blocked_for_what_it_is(real_data: Path) -> None:
    handbook = real_data / "handbook"
    sources = ("--sources", handbook / "ArticleDocument.json", "--json")
    code, printed, _ = run(handbook / "artifacts" / "instruct_datasets.json", *sources)
    found = json.loads(printed)
    assert code == 1
    assert found["samples"] == 2500
    assert found["shares"]["ungrounded"] > 0.95
    assert sum(each["check"] == "leaked_instruction" for each in found["flagged"]) == 69
    code, printed, _ = run(handbook / "artifacts" / "preference_datasets.json", *sources)
    found = json.loads(printed)
    assert code == 1
    assert found["samples"] == 402
    assert found["shares"]["verbatim"] == 0.0
    assert found["shares"]["ungrounded"] > 0.95
