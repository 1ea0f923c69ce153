"""General instructions between an author's samples."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from twin_assets.dataset.mixture import general_rows
from twin_assets_tests.support.tiny_models import TinyModels
from twin_resources.models import causal
from twin_resources.models.causal import Encoded
from twin_resources.quality.reading import DatasetUnreadable
from twin_resources.suite.general import general_set

OWN = 3_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Not named after a test: what lies in such a folder is held out."""
    made = tmp_path / "general"
    made.mkdir()
    return made


def alpaca(file: Path, count: int, first: int = 0) -> Path:
    rows = [
        {"instruction": f"Name thing {number}.", "input": "", "output": f"It is thing number {number}, I believe."}
        for number in range(first, first + count)
    ]
    file.write_text(json.dumps(rows))
    return file


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_they_make_up_their_share_of_the_tokens_and_are_asked_in_nobodys_name(
    folder: Path, tiny_models: Callable[[str], TinyModels], share: float
) -> None:
    tokenizer = causal.load_tokenizer(tiny_models("llama").base)
    rows = general_rows(tokenizer, alpaca(folder / "general.json", 400), OWN, share, 512)
    mixed = sum(len(each.ids) for each in rows)
    assert mixed / (mixed + OWN) == pytest.approx(share, abs=0.02)
    asked = [tokenizer.decode(row.ids[: row.prompt_length]) for row in rows]
    assert all("Name thing" in each and "Answer as" not in each for each in asked)
    assert len(set(asked)) == len(rows)


def test_what_the_evaluation_asks_is_not_learned(folder: Path, tiny_models: Callable[[str], TinyModels]) -> None:
    tokenizer = causal.load_tokenizer(tiny_models("llama").base)
    asked = [each for each in general_set() if each.question]
    rows = [{"instruction": f" {each.question.upper()}", "input": "", "output": each.text} for each in asked]
    text = next(each.text for each in general_set() if not each.question)
    rows.append({"instruction": "Tell a story.", "input": "", "output": f"Well. {text} So it was."})
    rows.append({"instruction": "Name a thing.", "input": "", "output": "It is a spoon."})
    (folder / "general.json").write_text(json.dumps(rows))
    (kept,) = general_rows(tokenizer, folder / "general.json", OWN, 0.5, 4096)
    assert "It is a spoon." in tokenizer.decode(kept.ids)


def test_the_same_are_drawn_again_and_others_that_join_replace_few(
    folder: Path, tiny_models: Callable[[str], TinyModels]
) -> None:
    tokenizer = causal.load_tokenizer(tiny_models("llama").base)

    def drawn(count: int) -> list[Encoded]:
        return general_rows(tokenizer, alpaca(folder / f"{count}.json", count), OWN, 0.1, 512)

    before = drawn(200)
    assert drawn(200) == before
    assert len(set(before) & set(drawn(210))) >= 0.7 * len(before)


def test_what_does_not_fit_or_is_held_out_is_not_learned_and_an_empty_file_is_named(
    folder: Path, tiny_models: Callable[[str], TinyModels]
) -> None:
    tokenizer = causal.load_tokenizer(tiny_models("llama").base)
    file = folder / "mixed.json"
    rows = [
        {"instruction": "Say much.", "output": "word " * 3000},
        {"instruction": "Say little.", "output": "A word."},
        {"instruction": "Held out.", "output": "Not to be learned.", "split": "test"},
    ]
    file.write_text(json.dumps(rows))
    (row,) = general_rows(tokenizer, file, OWN, 0.4, 256)
    assert "Say little." in tokenizer.decode(row.ids)
    file.write_text(json.dumps(rows[2:]))
    with pytest.raises(DatasetUnreadable, match=r"mixed\.json: no sample to learn from"):
        general_rows(tokenizer, file, OWN, 0.4, 256)
    with pytest.raises(DatasetUnreadable, match="there is no such file"):
        general_rows(tokenizer, folder / "none.json", OWN, 0.4, 256)
