"""`twin move`, and commands that find what they are told wherever its author lives."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import psycopg
import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.engine import URL
from typer.testing import CliRunner

from twin_assets_tests.support.servers import emptied
from twin_assets_tests.support.site import SITE
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.database.postgres import Address, dsn
from twin_serving.cli.main import app

AUTHORS = """
authors:
  - {id: ada, name: Ada Berg, consent: "These accounts are mine. 2026-11-21"}
  - {id: bo, name: Bo Lind, consent: "These accounts are mine. 2026-11-21"}
models: {reranker: null}
"""


@pytest.fixture
def twin(
    settings: Settings, second: URL, seed: Callable[[Settings], sa.Engine], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., str]]:
    """Runs a command over the main database, in which Ada lives, and another one; gives back what it printed."""
    emptied(second)
    settings.home.mkdir(exist_ok=True)
    config = settings.home / "twin.yaml"
    config.write_text(AUTHORS)
    address = second.render_as_string(hide_password=False)
    assert settings.database_url
    variables = {"CONFIG": str(config), "HOME": str(settings.home), "SHARDS__TWO": address}
    variables["DATABASE_URL"] = settings.database_url.get_secret_value()
    for name, value in variables.items():
        monkeypatch.setenv(f"TWIN_{name}", value)
    seed(settings.model_copy(update={"shards": {"two": SecretStr(address)}}))

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == 0, done.output
        return done.stdout

    yield run
    postgres.engine(postgres.databases(Address(settings.home, address))).dispose()


def test_an_author_is_moved_searched_and_forgotten_where_they_live(twin: Callable[..., str], second: URL) -> None:
    twin("status")
    assert "ada lives in two" in twin("move", "ada", "--to", "two")
    assert "nothing is left of them elsewhere" in twin("move", "ada", "--to", "two")
    found = json.loads(twin("status", "--json"))
    assert {each["id"]: each["documents"] for each in found["authors"]} == {"ada": 4, "bo": 0}
    assert [each["author"] for each in found["sources"]] == ["ada"]
    assert "On ferries" in twin("search", "the engine of the ferry", "--author", "ada", "--json")
    assert "forgotten" in twin("forget", f"{SITE}/post", "--yes"), "found without naming the author"
    assert "On ferries" not in twin("search", "the engine of the ferry", "--author", "ada", "--json")
    twin("forget", "--author", "ada", "--everything", "--yes")
    with psycopg.connect(dsn(second)) as session:
        assert session.execute("SELECT count(*) FROM document").fetchone() == (0,)
