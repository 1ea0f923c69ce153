"""SECURITY.md names a test for each line of the OWASP Top 10 for LLM applications, and each of them is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINES = [f"LLM{number:02}" for number in range(1, 11)]


def test_each_line_of_the_owasp_top_ten_has_tests_that_are_there() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (LLM\d\d)[^|]*\|[^|]+\|([^|]+)\|$", text, re.MULTILINE))
    assert sorted(rows) == LINES
    for line, tests in rows.items():
        named = re.findall(r"`(\S+\.py)::(\w+)`", tests)
        assert named, line
        for path, name in named:
            tree = ast.parse((ROOT / "twin_assets_tests" / path).read_text(encoding="utf-8"))
            assert name in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}, f"{line}: {path}"
