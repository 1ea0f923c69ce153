"""The table of the benchmarks: what it calls better and worse."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import gpu, table
from benchmarks.answers import judge
from benchmarks.refused import reworded, right, row, shuffled
from benchmarks.table import Table, committed, machine
from twin_assets.train.backends.choice import cuda_capability
from twin_assets_tests.support.rows import sample


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed table of this machine."""
    path = tmp_path / "measured.json"
    monkeypatch.setattr(table, "COMMITTED", path)
    first = Table()
    first.add("hybrid", 0.44, "nDCG@10")
    first.add("total, p95", 20.0, "ms")
    first.add("embed", 50.0, "passages/s")
    first.save()
    return path


@pytest.mark.parametrize(
    ("what", "value", "unit", "verdict"),
    [
        ("hybrid", 0.443, "nDCG@10", "+0.0030"),
        ("hybrid", 0.46, "nDCG@10", "+0.0200 better"),
        ("hybrid", 0.42, "nDCG@10", "-0.0200 WORSE"),
        ("total, p95", 22.0, "ms", "x 1.10"),
        ("total, p95", 40.0, "ms", "x 2.00 WORSE"),
        ("total, p95", 10.0, "ms", "x 0.50 better"),
        ("embed", 25.0, "passages/s", "x 0.50 WORSE"),
        ("embed", 100.0, "passages/s", "x 2.00 better"),
        ("lexical", 0.4, "nDCG@10", "new"),
    ],
)
def test_a_figure_is_compared_with_the_committed_one(
    before: Path, what: str, value: float, unit: str, verdict: str
) -> None:
    measured = Table()
    measured.add(what, value, unit)
    assert measured.markdown().splitlines()[2].endswith(f"| {verdict} |")


def test_a_part_measured_again_leaves_the_others(before: Path) -> None:
    again = Table()
    again.add("hybrid", 0.45, "nDCG@10")
    again.note("search at size: not measured")
    again.save()
    assert {name: figure.value for name, figure in committed().items()} == {
        "hybrid": 0.45,
        "total, p95": 20.0,
        "embed": 50.0,
    }
    assert again.markdown().endswith("search at size: not measured")


def test_times_of_another_machine_are_not_compared(before: Path) -> None:
    before.write_text(before.read_text().replace(machine(), "another machine"))
    other = Table()
    other.add("total, p95", 90.0, "ms")
    other.add("hybrid", 0.42, "nDCG@10")
    assert "| another machine |" in other.markdown()
    assert "WORSE" in other.markdown(), "quality does not depend on the machine"


def test_an_answer_answers_where_it_quotes_the_words_that_do() -> None:
    url = "https://ada.example/gauge"
    found = {
        "abstained": False,
        "citations": [{"marker": 1, "url": url}],
        "sentences": [{"text": "The gauge\nwrites **every six minutes**.", "markers": [1]}],
        "ms": 1.0,
    }
    says = ["each minute", "writes every six minutes"]
    assert [judge(found, [url], says=words).answered for words in (says, says[:1], ())] == [True, False, None]


@pytest.mark.skipif(cuda_capability() is not None, reason="there is a GPU, and it would be measured")
def test_a_benchmark_of_gpus_says_that_there_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu"])
    assert gpu.main() == 0
    assert capsys.readouterr().out == "there is no NVIDIA GPU here, so there is nothing to measure\n"


def test_bad_texts_are_bad_in_the_way_that_is_asked_and_always_the_same() -> None:
    own = [sample("Say.", "The boat leaks, so the boat and the plank are tarred.")]
    other = [sample("Say.", "A graph of the graph needs a model.")]
    (mixed,) = shuffled(own)
    assert sorted(mixed.answer.split()) == sorted(own[0].answer.split())
    assert mixed.answer != own[0].answer
    assert shuffled(own) == [mixed]
    assert [each.answer for each in reworded(other, own)] == ["A boat of the boat plank a leaks."]


def test_a_verdict_is_told_with_what_refused_it() -> None:
    rules = {"one": {"found": "3% above"}, "two": {"found": "none"}}
    bad, good = {"passed": False, "failed": ["one"], "rules": rules}, {"passed": True, "failed": [], "rules": rules}
    assert row("bad", bad, "yes") == "| bad | refused | `one`: 3% above | yes |"
    assert row("good", good, "yes") == "| good | released |  | yes |"


def test_a_reason_is_right_where_an_equal_training_on_own_text_does_not_fail_by_it() -> None:
    failed, passed = {"passed": False, "failed": ["one"]}, {"passed": True, "failed": []}
    assert [right(passed, (), None), right(failed, (), None)] == ["yes", "no"]
    assert [right(passed, ("one",), passed), right(failed, ("two",), passed)] == ["no", "no"]
    assert right(failed, ("one",), passed) == "yes"
    assert right(failed, ("one",), failed).startswith("not told")
    assert right({**failed, "failed": ["one", "two"]}, ("one", "two"), failed) == "yes"
