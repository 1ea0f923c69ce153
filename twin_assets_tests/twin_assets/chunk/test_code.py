"""Source files are cut where a programmer would cut them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin_assets.chunk.code import _GRAMMARS, definitions, knows

DATA = Path(__file__).parents[2] / "data" / "code"
SYMBOLS = {
    "python": {4: "first", 10: "Boat", 14: "Boat.sail", 17: "Boat", 19: "Boat.Hull", 20: "Boat.Hull.__init__", 22: ""},
    "javascript": {2: "f", 4: "g", 5: "A", 7: "A.m", 9: ""},
    "typescript": {0: "I", 1: "A", 3: "A.m", 5: "N", 6: "N.q", 8: "T", 9: "E"},
    "go": {4: "T", 7: "T.M", 10: "F", 12: ""},
    "rust": {2: "S", 6: "S", 7: "S.m", 10: "tests", 11: "tests.z"},
    "java": {1: "A", 4: "A.m", 6: "A.A", 7: "A.E"},
    "kotlin": {2: "A", 3: "A.m", 7: "f"},
    "csharp": {1: "N", 3: "N.A", 5: "N.A.M", 6: "N.A.P"},
    "php": {1: "f", 2: "A", 3: "A.m"},
    "ruby": {0: "M", 1: "M.A", 2: "M.A.m", 4: "M.A.x", 7: ""},
    "c": {2: "f", 7: "s", 11: "g", 13: ""},
    "cpp": {0: "n", 1: "n.A", 3: "n.A.m", 6: "A.f", 8: "g"},
    "shell": {3: "f", 7: "g", 10: ""},
}  # fmt: skip


@pytest.mark.parametrize("language", sorted(SYMBOLS))
def test_definitions_are_found_with_their_symbols(language: str) -> None:
    text = (DATA / f"{language}.txt").read_text()
    assert {line: ".".join(symbol) for line, symbol in definitions(text, language)} == SYMBOLS[language]


def test_components_in_typescript_are_read(tmp_path) -> None:
    text = "export const App = () => <div>{1}</div>\n\nexport function B() { return <b/> }\n"
    assert [symbol for _, symbol in definitions(text, "typescript", "src/App.tsx")] == [("App",), ("B",)]


def test_broken_code_keeps_the_definitions_that_parse() -> None:
    text = "def whole():\n    return 1\n\n\ndef broken(:\n    x = (\n\n\nclass Boat:\n    def sail(self): ...\n"
    assert ("whole",) in [symbol for _, symbol in definitions(text, "python")]


def test_no_grammar_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", None)
    for language in _GRAMMARS:
        assert knows(language)
        definitions("x", language)
    assert not knows("cobol")


PIECES = st.sampled_from([
    "def f():\n", "    pass\n", "class A {\n", "}\n", "{", "fn x() {}\n", "# c\n", "// c\n", "/*", "*/", "'", '"', "\n",
    "𝗪é", "func (a *B) C() {}\n", "export ", "@d\n", "\t", "#ifdef X\n", "<?php ", "end\n", "(" * 30,
])  # fmt: skip


@settings(max_examples=120, deadline=None, derandomize=True)
@given(pieces=st.lists(PIECES | st.text(max_size=12), max_size=30), language=st.sampled_from(sorted(_GRAMMARS)))
def test_any_text_gives_lines_that_it_has(pieces: list[str], language: str) -> None:
    text = "".join(pieces)
    lines = [line for line, _ in definitions(text, language)]
    assert lines == sorted(set(lines))
    assert all(0 <= line <= text.count("\n") for line in lines)
