"""The tree stays readable: how large folders, modules and functions may grow; ``pytest -s -k layout`` prints it all."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("twin_resources", "twin_serving", "twin_assets")
MOST_MODULES = 14
MOST_LINES = 500
MOST_LINES_OF_A_FUNCTION = 80
MEDIAN_LINES = 130


def modules() -> list[Path]:
    found = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return sorted(
        path for path in found if path.name not in {"__init__.py", "__main__.py"} and "versions" not in path.parts
    )


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or 0) - node.lineno + 1


def test_layout_keeps_its_limits() -> None:
    folders: dict[Path, list[int]] = {}
    for path in modules():
        folders.setdefault(path.parent.relative_to(ROOT), []).append(len(path.read_text("utf-8").splitlines()))
    print(f"\n{'folder':<40} modules  lines  longest")
    for folder, lines in sorted(folders.items()):
        print(f"{folder.as_posix():<40} {len(lines):>7} {sum(lines):>6} {max(lines):>8}")
    every = [lines for each in folders.values() for lines in each]
    print(f"{len(every)} modules, median {statistics.median(every):.0f} lines")
    crowded = {folder.as_posix(): len(lines) for folder, lines in folders.items() if len(lines) > MOST_MODULES}
    assert set(crowded) <= {"twin_resources/sources"}, "a platform is a file, so sources may be many"
    assert statistics.median(every) <= MEDIAN_LINES
    long = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        if len(path.read_text("utf-8").splitlines()) > MOST_LINES
    }
    assert not long
    wide = {
        f"{path.relative_to(ROOT)}:{name}": size
        for path in modules()
        for name, size in functions(path)
        if size > MOST_LINES_OF_A_FUNCTION
    }
    assert not wide
