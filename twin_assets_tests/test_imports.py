"""What the layer contracts of ``pyproject.toml`` hold, and what they can't say."""

from __future__ import annotations

import ast
import functools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("twin_resources", "twin_serving", "twin_assets")
HEAVY = ("torch", "transformers", "peft", "sentence_transformers", "sklearn", "scipy", "mlflow", "alembic")
"""Slow to import: a server or a run starts without them."""


@functools.cache
def _modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def _imports(path: Path, *, top_level: bool = False) -> set[str]:
    tree = _tree(path)
    nodes = tree.body if top_level else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def _roots(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize(
    ("package", "line", "contract"),
    [
        (
            "twin_resources/text",
            "import twin_resources.storage.warehouse",
            "Resources import only what lies below them",
        ),
        ("twin_assets/clean", "import twin_serving.api.app", "The graph and the API are siblings over the resources"),
        ("twin_assets/clean", "import twin_assets.dataset.splits", "Stages import only earlier stages"),
        ("twin_serving/answering", "import starlette.requests", "Answering knows no HTTP"),
        ("twin_serving/answering", "import twin_serving.api.app", "Serving: commands over processes over the API"),
        ("twin_resources/rag", "import dagster", "Only the graph and the runtime import Dagster"),
    ],
)
def test_a_wrong_import_fails_the_lint(tmp_path: Path, package: str, line: str, contract: str) -> None:
    for each in PACKAGES:
        shutil.copytree(ROOT / each, tmp_path / each, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / package / "astray.py").write_text(f"{line}\n", encoding="utf-8")
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1, done.stdout
    broken = [said for said in done.stdout.splitlines() if said.endswith("BROKEN")]
    assert len(broken) >= 1
    assert any(said.startswith(contract) for said in broken), broken


def test_stages_meet_only_through_stored_artifacts() -> None:
    graph = {"assets", "checks", "definitions"}
    stages = [path.parent.name for path in (ROOT / "twin_assets").glob("*/assets.py")]
    assert len(stages) == 9
    for stage in stages:
        for path in (ROOT / "twin_assets" / stage).glob("*.py"):
            for name in _imports(path):
                parts = name.split(".")
                if parts[0] == "twin_assets" and len(parts) > 2 and parts[1] in stages and parts[1] != stage:
                    assert parts[2] not in graph, f"{path} reaches into the assets of another stage: {name}"
                    assert parts[2] != "job", f"{path} reaches into the job of another stage: {name}"


def test_pure_functions_import_no_dagster() -> None:
    for path in (ROOT / "twin_assets").glob("*/*.py"):
        if path.stem not in {"assets", "checks", "definitions", "schedules", "sensors", "__init__"}:
            assert "dagster" not in _roots(_imports(path)), path


def test_heavy_libraries_are_imported_inside_functions_only() -> None:
    for path in (each for package in PACKAGES for each in _modules(package) if "migrations" not in each.parts):
        assert not set(HEAVY) & _roots(_imports(path, top_level=True)), path


def test_loading_the_graph_imports_nothing_heavy_and_does_no_io(tmp_path: Path) -> None:
    code = (
        "import sys, twin_assets.definitions as d; d.defs.resolve_asset_graph(); "
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "TWIN_DATABASE_URL": "postgresql://127.0.0.1:1/none"},
        check=True,
    )
    assert done.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


def test_the_graph_loads_with_wrong_settings_which_its_sensors_tell_of(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import twin_assets.definitions"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "TWIN_QUEUE": "many"},
    )
    assert done.returncode == 0, done.stderr
