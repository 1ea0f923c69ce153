"""Summaries and code with an explanation: the author's own, and only where there are any."""

from __future__ import annotations

from collections import Counter

import pytest

from twin_assets.dataset import instruct
from twin_assets.dataset.checked import as_checked
from twin_assets.dataset.generators import summaries
from twin_assets.dataset.generators.base import own_passages
from twin_assets_tests.support import rows
from twin_assets_tests.support.world import World
from twin_resources.quality import inspection
from twin_resources.quality.sources import Source, Sources
from twin_resources.storage.chunk_store import Chunk

CODE = "```python\ndef height{n}(tide):\n    return tide.low{n} + tide.range{n} / 2\n```"
AROUND = (
    "The gauge number {n} wants one number, and this is how I get it:\n\n{code}\n\nHalf of range{n} is enough, because "
    "buoy{n} and ferry{n} lie still at mid tide and nobody at quay{n} reads more than that from it."
)


def text(number: int, words: int = 40) -> str:
    return "The " + " ".join(f"word{number}x{index}" for index in range(words)) + "."


def document(number: int, *sections: tuple[str, str], title: str = "") -> list[Chunk]:
    """Passages under headings; the one without a heading opens the document."""
    return [
        rows.chunk(
            id=f"c{number}-{place}", document_id=f"d{number}", url=f"https://ada.example/{number}",
            title=title or f"Essay {number}", heading=(heading,) if heading else (), position=place,
            text=f"## {heading}\n\n{words}" if heading else words,
        )
        for place, (heading, words) in enumerate(sections)
    ]  # fmt: skip


def summed_up(number: int, heading: str = "Conclusion", parts: int = 2) -> list[Chunk]:
    first = [("" if part == 0 else f"Part {part}", text(10 * number + part)) for part in range(parts)]
    return document(number, *first, (heading, text(10 * number + 9, 30)))


def coded(number: int) -> list[Chunk]:
    shown = AROUND.format(n=number, code=CODE.format(n=number))
    return document(number, ("", text(10 * number)), (f"Reading a gauge {number}", shown))


def test_a_summary_is_the_authors_and_what_it_sums_up_is_shown() -> None:
    chunks = [each for number in range(12) for each in summed_up(number)]
    made = instruct.build("ada", chunks, 0.0)
    found = [sample for sample in made.samples if sample.kind == "summarise"]
    assert len(found) == 12
    for sample in found:
        mine = [each for each in chunks if each.document_id == sample.document_id]
        assert sample.answer == mine[-1].text.removeprefix("## Conclusion\n\n"), "letter for letter"
        assert sample.answer not in sample.instruction
        assert mine[0].title in sample.instruction
        assert sample.instruction.partition("\n\n")[2] == f"{mine[0].text}\n\n{mine[1].text.partition(chr(10) * 2)[2]}"
        assert sample.chunk_ids == (mine[-1].id, mine[0].id, mine[1].id)
    assert len({sample.answer for sample in made.samples}) == len(made.samples), "no answer is learned twice"


def test_of_a_long_document_a_summary_shows_sentences_of_all_parts() -> None:
    sections = [("" if part == 0 else f"Part {part}", f"{text(part, 12)} {text(100 + part, 90)}") for part in range(40)]
    chunks = document(1, *sections, ("Key takeaways", text(999)))
    passages = summaries.found(list(own_passages(chunks, Counter())))
    (summary,) = [each for each in passages if each.sums_up]
    assert summary.sums_up
    shown = summary.sums_up.text.split("\n\n")
    assert not summary.sums_up.whole
    assert set(shown) <= {text(part, 12) for part in range(40)}
    assert len(summary.sums_up.text.split()) + len(summary.text.split()) <= summaries.WORDS
    parts = [int(key.partition("-")[2]) for key in summary.sums_up.chunk_ids]
    assert parts == sorted(parts)
    assert max(parts) > 30, "not only the beginning"


@pytest.mark.parametrize(
    "heading",
    ["TL;DR", "🔚 V. Conclusion", "5\\. Summary", "Fazit", "En résumé", "Conclusiones", "Wnioski", "まとめ"],
)
def test_a_summary_is_known_by_its_heading(heading: str) -> None:
    passages = summaries.found(list(own_passages(summed_up(1, heading), Counter())))
    assert [bool(each.sums_up) for each in passages] == [False, False, True]


def test_what_no_author_called_a_summary_is_none() -> None:
    for chunks in (
        summed_up(1, "Concluding a contract"),
        summed_up(2, "Summary of the diff", parts=2),
        document(3, ("", text(1, 25)), ("Conclusion", text(2, 60))),
        document(4, ("Conclusion", text(3)), ("Part", text(4)), title="Conclusion"),
    ):
        assert not any(each.sums_up for each in summaries.found(list(own_passages(chunks, Counter()))))
    marked = document(5, ("", f"TL;DR: {text(5, 25)}"), ("Part", text(6)), ("Part two", text(7)))
    found = summaries.found(list(own_passages(marked, Counter())))
    assert [bool(each.sums_up) for each in found] == [True, False, False]


def test_code_is_asked_for_and_answered_with_all_that_the_author_says_around_it() -> None:
    chunks = [each for number in range(12) for each in coded(number)]
    made = instruct.build("ada", chunks, 0.0)
    found = [sample for sample in made.samples if sample.kind == "code"]
    assert len(found) == 12
    for sample in found:
        shown = next(each for each in chunks if each.id == sample.chunk_ids[0])
        assert shown.text.endswith(sample.answer), "paragraph, code and explanation, letter for letter"
        assert sample.answer.count("```") == 2
        assert shown.heading[0] in sample.instruction


def test_code_without_an_explanation_or_without_its_end_is_not_asked_for() -> None:
    alone = document(1, ("", text(1)), ("Code", CODE.format(n=1)))
    broken = document(2, ("", text(2)), ("Some code", AROUND.format(n=2, code=CODE.format(n=2)[:-4])))
    made = instruct.build("ada", [*alone, *broken], 0.0)
    assert not [sample for sample in made.samples if sample.kind == "code"]
    mostly = document(3, ("", text(3)), ("Gauge code", f"{CODE.format(n=3)}\n" * 6 + AROUND.format(n=3, code="")))
    made = instruct.build("ada", mostly, 0.0)
    (sample,) = (sample for sample in made.samples if sample.kind == "code")
    assert sample.answer.startswith("```"), "mostly code, but explained"
    assert instruct.build("ada", alone, 0.0).dropped["too_short"] == 1


def test_no_kind_has_more_than_its_share() -> None:
    chunks = [each for number in range(20) for each in (*summed_up(number), *coded(100 + number))]
    free = instruct.build("ada", chunks, 0.0)
    assert Counter(sample.kind for sample in free.samples) == {
        "opening": 40, "section": 20, "summarise": 20, "code": 20,
    }  # fmt: skip
    kept = instruct.build("ada", chunks, 0.0, targets={"summarise": 0.1, "code": 0.0, "opening": 0.2})
    kinds = Counter(sample.kind for sample in kept.samples)
    assert (kinds["summarise"], kinds["code"], kinds["opening"]) == (10, 0, 20)
    assert kinds["section"] == 20 + 10 + 20, "what is over a share becomes what else it can be"
    assert kept.dropped["over_target"] == 20, "or is left out, and counted"
    assert instruct.build("ada", chunks, 0.0, targets={"summarise": 0.1, "code": 0.0, "opening": 0.2}).id == kept.id


def test_nothing_is_wrong_with_them() -> None:
    chunks = [each for number in range(20) for each in (*summed_up(number), *coded(100 + number))]
    made = instruct.build("ada", chunks, 0.3)
    sources = Sources(
        Source(f"Essay {number}", "\n\n".join(each.text for each in chunks if each.document_id == f"d{number}"),
               (f"d{number}",))
        for number in (*range(20), *range(100, 120))
    )  # fmt: skip
    verdict = inspection.inspect((as_checked(each, index) for index, each in enumerate(made.samples)), sources)
    assert verdict.passed
    assert {flag.check for flag in verdict.flags} <= {"category_balance", "source_balance", "time_balance"}


def test_what_a_summary_shows_is_in_its_lineage(world: World) -> None:
    world.texts[3] += f"\n## Conclusion\n\n{text(1)}\n"
    version = world.make()
    members = [each for each in world.twin.datasets.members(version.id) if each.url == "https://ada.example/3"]
    shown = Counter(each.sample_id for each in members)
    assert max(shown.values()) >= 3, "the summary is made of its own passage and those it sums up"
    assert version.manifest["kinds"]["summarise"] == 1
    assert all(version.manifest["checks"].values())
