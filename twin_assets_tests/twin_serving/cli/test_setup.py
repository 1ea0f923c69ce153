"""Writing a twin.yaml, signing in, and looking for what is missing."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from twin_assets_tests.support.command_line import CONSENT, Twin
from twin_resources.config.settings import load
from twin_serving.cli.main import app

COLLECTED = """\
authors:
  - id: ada
    name: Ada Berg
    consent: "These accounts are mine. 2026-11-21"
    schedule: "0 6 * * 1"
    sources:
      - {medium: "@ada"}
      - {github: ada}
      - {github: project, url: "https://github.com/ada/project"}
      - {linkedin: me}
      - {linkedin_activity: ada-berg, i_understand: true, browser_state: state.json}
      - {website: "https://ada.example"}
"""


def test_init_asks_for_what_is_missing(twin: Twin) -> None:
    twin("init", answers=f"me\nAda Example\n{CONSENT}\nfolder:notes\n\n")
    author = load().author("me")
    assert (author.name, author.consent, author.sources[0].location) == ("Ada Example", CONSENT, "notes")


def test_init_never_overwrites(twin: Twin) -> None:
    twin.write("mine: true\n")
    assert "is not overwritten" in twin("init", "--id", "me", code=1)
    assert (twin.folder / "twin.yaml").read_text() == "mine: true\n"


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["--id", "Not An Id", "--consent", CONSENT], "authors.0.id"),
        (["--id", "me", "--consent", "yes"], "with a date"),
        (["--id", "me", "--consent", CONSENT, "--source", "gopher:x"], "kinds are: feed, folder"),
        (["--id", "me", "--consent", CONSENT, "--source", "folder"], "kind:location"),
    ],
)
def test_init_writes_nothing_that_would_not_load(twin: Twin, arguments: list[str], remedy: str) -> None:
    source = [] if "--source" in arguments else ["--source", "folder:notes"]
    assert remedy in twin("init", "--name", "Ada", *arguments, *source, code=1)
    assert list(twin.folder.iterdir()) == []


def test_doctor_names_what_is_missing_and_the_remedy(ada: Twin) -> None:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 1
    checks = {check["subject"]: check for check in json.loads(result.stdout)}
    assert checks["source folder of ada"]["level"] == "fail"
    assert "correct the location" in checks["source folder of ada"]["remedy"]
    assert checks["pgvector"]["level"] == "ok"
    assert checks["Dagster daemon"]["level"] == "warn"
    (ada.folder / "notes").mkdir()
    assert "fail " not in ada("doctor")


def test_doctor_looks_at_what_it_can_when_twin_yaml_is_wrong(twin: Twin) -> None:
    twin.write("authors: 3\n")
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "Python" in result.stdout
    assert "twin.yaml:1:" in result.stdout


def test_doctor_says_how_to_get_each_credential(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TWIN_GITHUB_TOKEN", "TWIN_LINKEDIN_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    (twin.folder / "project").mkdir()
    twin.write(COLLECTED)
    checks = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    found = {(check["subject"], check["level"]): check for check in checks if check["subject"].startswith("source ")}
    assert "personal access token" in found["source github of ada", "warn"]["remedy"]
    assert "r_dma_portability_self_serve" in found["source linkedin of ada", "fail"]["remedy"]
    assert found["source linkedin_activity of ada", "fail"]["remedy"] == "twin login linkedin"
    assert "user agreement forbids" in found["source linkedin_activity of ada", "warn"]["finding"]
    assert found["source medium of ada", "ok"]["finding"] == "@ada (not asked)"
    assert found["source github of ada", "ok"]["finding"].endswith("/project"), "a folder of that name is local"
    monkeypatch.setenv("TWIN_GITHUB_TOKEN", "s3cret")
    shown = CliRunner().invoke(app, ["doctor"]).stdout
    assert "personal access token" not in shown
    assert "s3cret" not in shown


def test_login_needs_a_screen_and_a_known_platform(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    twin.write(COLLECTED)
    monkeypatch.delenv("DISPLAY", raising=False)
    assert "run `twin login` where there is a screen" in twin("login", "medium", code=1)
    assert "is none of medium, substack, linkedin" in twin("login", "myspace", code=2)


def test_a_backup_comes_back_in_another_folder(ada: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "tables" in ada("backup", "today")
    assert "name a folder that does not" in ada("backup", "today", code=1)
    assert "is no backup" in ada("restore", "notes", "--into", "there", code=1)
    assert "is not empty" in ada("restore", "today", "--into", ".", code=1), "a place in use"
    assert "is not empty; restore into an empty place" in ada("restore", "today", "--into", "there", code=1)
    assert not (ada.folder / "there").exists(), "what failed leaves nothing"
    monkeypatch.delenv("TWIN_DATABASE_URL")
    assert "are as they were on" in ada("restore", "today", "--into", "elsewhere")
    monkeypatch.setenv("TWIN_CONFIG", str(ada.folder / "elsewhere" / "twin.yaml"))
    monkeypatch.setenv("TWIN_HOME", str(ada.folder / "elsewhere" / ".twin"))
    assert ada.json("status")["authors"][0]["documents"] == 2
    ada("stop")
