"""The walls between the rooms."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "twin_resources": {"twin_resources"},
    "twin_serving": {"twin_serving", "twin_resources"},
    "twin_assets": {"twin_assets", "twin_resources"},
}
DAGSTER_OUTSIDE = {"twin_resources/runtime/launcher.py", "twin_resources/runtime/resources.py"}


def _modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def _imports(path: Path, *, top_level: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
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


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_only_what_lies_below_them(package: str) -> None:
    for path in _modules(package):
        ours = {name for name in _roots(_imports(path)) if name.startswith("twin_")}
        assert ours <= MAY_IMPORT[package], f"{path.relative_to(ROOT)} imports {ours - MAY_IMPORT[package]}"


def test_only_the_graph_and_two_named_modules_import_dagster() -> None:
    for package in ("twin_resources", "twin_serving"):
        for path in _modules(package):
            if path.relative_to(ROOT).as_posix() not in DAGSTER_OUTSIDE:
                assert "dagster" not in _roots(_imports(path)), path


def test_rooms_of_the_graph_meet_only_through_stored_artifacts() -> None:
    shells = {"assets", "checks", "definitions"}
    rooms = [path.parent.name for path in (ROOT / "twin_assets").glob("*/assets.py")]
    assert len(rooms) == 9
    for room in rooms:
        for path in (ROOT / "twin_assets" / room).glob("*.py"):
            for name in _imports(path):
                parts = name.split(".")
                if parts[0] == "twin_assets" and len(parts) > 2 and parts[1] in rooms and parts[1] != room:
                    assert parts[2] not in shells, f"{path} reaches into the shell of another room: {name}"
                    assert parts[2] != "job", f"{path} reaches into the job of another room: {name}"


def test_pure_functions_import_no_dagster() -> None:
    for path in (ROOT / "twin_assets").glob("*/*.py"):
        if path.stem not in {"assets", "checks", "definitions", "__init__"}:
            assert "dagster" not in _roots(_imports(path)), path


def test_torch_is_imported_inside_functions_only() -> None:
    heavy = {"torch", "transformers", "peft", "sentence_transformers", "mlflow"}
    for package in MAY_IMPORT:
        for path in _modules(package):
            assert not heavy & _roots(_imports(path, top_level=True)), path


def test_loading_the_graph_imports_nothing_heavy_and_does_no_io(tmp_path: Path) -> None:
    code = (
        "import sys, twin_assets.definitions as d; d.defs.resolve_asset_graph(); "
        "print([m for m in ('torch', 'transformers', 'mlflow', 'peft', 'sentence_transformers') if m in sys.modules])"
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
