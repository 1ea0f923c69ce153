"""What a person sees who types ``twin …``: help, and errors of every kind."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest
import sqlalchemy as sa
import typer
from typer.testing import CliRunner

from twin_assets_tests.support.command_line import CONSENT, Twin
from twin_resources.errors import TwinError
from twin_serving.cli.errors import report
from twin_serving.cli.main import app
from twin_serving.processes.servers import ROOT

COMMANDS = (
    *("init", "up", "run", "status", "import", "sources", "search", "ask", "datasets", "diff"),
    *(
        "check-dataset",
        "candidates",
        "compare",
        "approve",
        "rollback",
        "forget",
        "clean",
        "doctor",
        "login",
        "stop",
        "estimate",
        "export-model",
    ),
)


def test_help_is_there_at_once_and_loads_nothing_heavy() -> None:
    script = (
        "import sys\nfrom twin_serving.cli.main import app\n"
        "try: app(['--help'], prog_name='twin')\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'dagster', 'mlflow', 'sqlalchemy'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"], prog_name="twin", env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert f"Example: twin {command}" in result.stdout


@pytest.mark.parametrize(
    ("text", "line", "remedy"),
    [
        ("authors:\n  - id: me\n    name: A\n    consent: ok\n", 4, "with a date"),
        (
            f'authors:\n  - id: me\n    name: A\n    consent: "{CONSENT}"\n    sources:\n      - gopher: x\n',
            6,
            "name exactly one",
        ),
        ("authors: []\nreleases: {}\n", 2, "sections are"),
        ("authors:\n  - id: [\n", 3, "not valid YAML"),
        ("authors: []\ntraining:\n  epochs: 0\n", 3, "greater than or equal to 1"),
    ],
)
def test_a_wrong_line_is_named_with_its_remedy(twin: Twin, text: str, line: int, remedy: str) -> None:
    twin.write(text)
    said = twin("status", code=1)
    assert f"twin.yaml:{line}: " in said
    assert remedy in said
    assert len(said.strip().splitlines()) == 1


def test_without_a_twin_yaml_it_says_how_to_write_one(twin: Twin) -> None:
    assert "twin init" in twin("status", code=1)


def test_an_unknown_author_is_answered_with_the_known_ones(ada: Twin) -> None:
    assert "authors there: ada" in ada("run", "--author", "eve", code=1)


def test_with_two_authors_it_asks_which(ada: Twin) -> None:
    config = ada.folder / "twin.yaml"
    more = f'authors:\n  - {{id: bo, name: Bo, consent: "{CONSENT}"}}\n'
    ada.write(config.read_text().replace("authors:\n", more))
    assert "bo, ada" in ada("import", "mine.jsonl", code=1)
    assert ada.json("import", "mine.jsonl", "--author", "bo")["new"] == 2


def test_debug_shows_where_an_error_came_from(ada: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_DEBUG", "1")
    assert "Traceback" in CliRunner().invoke(app, ["approve", "nope"]).stderr


def test_commands_are_listed_in_the_order_in_which_they_are_needed() -> None:
    shown = CliRunner().invoke(app, ["--help"], prog_name="twin", env={"COLUMNS": "200"}).stdout
    listed = [line.split()[1] for line in shown.splitlines() if line.startswith("│ ") and line.split()[1] in COMMANDS]
    assert listed == [
        *("init", "up", "stop", "run", "import", "sources", "status", "login", "datasets", "diff", "check-dataset"),
        *("forget", "clean"),
        *("search", "ask", "estimate", "candidates", "compare", "approve", "export-model", "rollback", "doctor"),
    ]


class ElsewhereError(TwinError):
    """An error of ours, from a module that the command line does not know."""


class UnexpectedError(Exception):
    """No error of ours, whatever its module says."""

    __module__ = "twin_resources.storage.anything"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ElsewhereError("the disk is full", "make room"), ["twin: the disk is full; make room"]),
        (UnexpectedError("no key\nat all"), ["twin: unexpected UnexpectedError: no key", "twin: set TWIN_DEBUG=1"]),
        (httpx.ConnectError("refused"), ["twin: nothing answers there: refused", "twin: set TWIN_DEBUG=1"]),
        (httpx.ReadTimeout("10 s"), ["twin: no answer in time: 10 s", "twin: set TWIN_DEBUG=1"]),
        (
            sa.exc.OperationalError("SELECT 1", {}, Exception("gone")),
            ["twin: the database did not answer: (builtins.Exception) gone", "twin: set TWIN_DEBUG=1"],
        ),
    ],
)
def test_errors_of_ours_speak_for_themselves_and_others_are_defects(
    error: Exception, said: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TWIN_DEBUG", raising=False)
    with pytest.raises(typer.Exit) as left:
        report(error)
    assert left.value.exit_code == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(said)
    assert all(line.startswith(start) for line, start in zip(lines, said, strict=True)), lines
