"""The API does what its OpenAPI document says, and refuses what the document does not allow."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from twin_assets_tests.support.site import Api, add_adapter, running
from twin_assets_tests.support.tiny_models import TinyModels
from twin_resources.config.settings import Settings
from twin_serving.api.idempotency import HEADER, PATTERN

pytestmark = pytest.mark.long

CHECKS = ",".join(
    (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "positive_data_acceptance",
        "missing_required_header",
        "unsupported_method",
        "allow_header_conformance",
        "use_after_free",
    )
)


@pytest.fixture(scope="module")
def alone(
    new_settings: Callable[..., Settings], seed: Callable[[Settings], sa.Engine], tiny: TinyModels
) -> Iterator[Api]:
    """An application with one author, so that a question that names none reaches the engine."""
    authors = [{"id": "ada", "name": "Ada Berg", "consent": "These accounts are mine. 2026-11-21"}]
    settings = new_settings(authors=authors, models={"base": str(tiny.base), "reranker": None})
    database = seed(settings)
    add_adapter(settings, database, "ada-first", tiny.first)
    with running(settings, database) as found:
        yield found


# How much an engine reads depends on its model, and whether a file is of a known format on what is in it. No schema can
# say either: the document lists 413 and 415 for them. What is too long as a text may be too long as a call, too.
SETTINGS = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", 413, 415, "5xx"]

[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, "5xx"]
"""

# Any string of the pattern is a key, but a second write with one of the first is another request's: each gets its own.
# A pattern and a length stay two rules where the length is in the thousands. Made into one expression of so many
# repetitions they say the same, and each schema that holds it takes up to a second to compile.
HOOKS = f"""
import itertools
import re

import schemathesis
from schemathesis.specs.openapi import converter

numbers = itertools.count()
repeated = converter.update_quantifier
converter.update_quantifier = lambda pattern, fewest, most: (
    pattern if (most or 0) > 1000 else repeated(pattern, fewest, most)
)


@schemathesis.hook
def before_call(context, case, kwargs):
    key = (case.headers or {{}}).get("{HEADER}")
    if isinstance(key, str) and re.fullmatch(r"{PATTERN}", key):
        case.headers["{HEADER}"] = f"write-{{next(numbers)}}"
"""


def test_the_api_keeps_its_own_contract(alone: Api, tmp_path: Path) -> None:
    """Schemathesis reads ``/openapi.json`` of the real application and sends what it allows and what it does not."""
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    (tmp_path / "unique_keys.py").write_text(HOOKS)
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "unique_keys", "PYTHONPATH": str(tmp_path)}
    command = [
        *(str(Path(sys.executable).parent / "schemathesis"), "run", f"{alone.url}/openapi.json"),
        *("--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--continue-on-failure"),
        *("--seed", "1", "--generation-deterministic", "--no-color"),
        *("--suppress-health-check", "all", "--request-timeout", "30", "--warnings", "off"),
    ]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=800)
    shown = re.sub(r"(.{2,60}?)\1{40,}", r"\1…", done.stdout)  # a long text of one character says little
    assert done.returncode == 0, f"{shown[-20_000:]}\n{done.stderr[-2_000:]}"
