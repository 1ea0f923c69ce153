"""Whether a model that knows its training by heart is told from one that learned to write."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from twin_assets.dataset.samples import InstructSample, SamplePassage, Turn
from twin_assets.evaluate.generation import page
from twin_assets.evaluate.generation.memorisation import figures
from twin_assets.train.card import learned_by
from twin_assets.train.looks import reciting
from twin_assets.train.looks.reciting import Beginning, beginnings, chosen, gone_on, recited
from twin_assets_tests.support.measured import generation
from twin_assets_tests.support.prose import documents, mira_texts
from twin_assets_tests.support.rows import sample
from twin_assets_tests.support.tiny_models import BASE, FIRST, SECOND, TinyModels
from twin_resources.config.settings import Settings
from twin_resources.models import causal
from twin_resources.models.fingerprint import RECORD


def texts() -> list[Beginning]:
    """What is left of ten texts of one author; six were trained on."""
    rests = [" ".join(each.text.split()[40:120]) for each in documents(mira_texts())[:10]]
    return [Beginning((), rest, place < 6) for place, rest in enumerate(rests)]


def start(words: int) -> list[str]:
    return [" ".join(each.rest.split()[:words]) for each in texts()]


def test_who_recites_what_it_was_trained_on_scores_badly_and_the_authors_own_other_text_well() -> None:
    begun = texts()
    own = [" ".join(each.text.split()[:25]) for each in documents(mira_texts())[:10]]
    by_heart = [text if each.trained else other for each, text, other in zip(begun, start(25), own, strict=True)]
    found = figures(begun, {"base": own, "recites": by_heart, "writes": own}, "recites")
    assert found
    assert (found["trained"], found["held_out"]) == (6, 4)
    assert found["models"]["recites"]["trained"] >= 25
    assert found["models"]["recites"]["longest"] >= 25
    assert found["models"]["writes"] == {"trained": 0.0, "held_out": 0.0, "longest": 0}
    assert found["excess"] >= 25
    assert found["interval"][0] > 4
    well = figures(begun, {"base": own, "writes": own}, "writes")
    assert well
    assert (well["excess"], well["interval"]) == (0.0, [0.0, 0.0])


def test_what_the_base_knew_and_what_held_out_texts_say_as_well_was_not_memorised() -> None:
    begun = texts()
    found = figures(begun, {"base": start(20), "ada-1": start(20)}, "ada-1")
    assert found
    assert found["models"]["ada-1"]["trained"] >= 20
    assert found["excess"] == 0.0
    nothing = ["No idea."] * len(begun)
    alike = figures(begun, {"base": nothing, "ada-1": start(20)}, "ada-1")
    assert alike
    assert alike["interval"][0] < 4, "it recites of held-out texts as much, so it was not trained to"
    assert figures(begun[:7], {"base": nothing[:7], "ada-1": nothing[:7]}, "ada-1") is None, "one held-out text"


def test_only_words_in_a_row_are_recited() -> None:
    (each, *_) = texts()
    words = each.rest.split()[:30]
    shuffled = random.Random(3).sample(words, len(words))
    said = ["Well, I would say: " + " ".join(words[8:20]) + ", or so.", " ".join(shuffled), " ".join(words[:4]), ""]
    assert recited([each] * 4, said) == [12, 0, 0, 0]


LONG = " ".join(f"word{number}" for number in range(60))


def test_one_text_of_a_document_is_begun_whatever_the_order_and_none_that_shows_what_it_says() -> None:
    shown = (SamplePassage("t", LONG, "c"),)
    several = [sample("Write.", LONG, id=f"{place}", document_id=f"d{place % 12}") for place in range(36)]
    refused: list[InstructSample] = [
        sample("Write.", LONG, document_id="passages", passages=shown),
        sample("Write.", LONG, document_id="turns", history=(Turn("a", LONG, "s"),)),
        sample("Write.", LONG, document_id="summary", kind="summarise"),
        sample("Write.", LONG, document_id="code", kind="code"),
        sample("Write.", LONG, document_id="question", kind="question"),
        sample("Write.", "Too short.", document_id="short"),
    ]
    found = chosen([*refused, *several], limit=8)
    assert len({each.document_id for each in found}) == len(found) == 8
    assert not {each.document_id for each in found} & {each.document_id for each in refused}
    assert chosen(random.Random(1).sample([*refused, *several], 42), limit=8) == found


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts of a sentence are enough."""
    for name, count in {"LEAST_WORDS": 5, "BEGINNING": 4, "TOKENS": 8}.items():
        monkeypatch.setattr(reciting, name, count)


def three(text: str, split: str) -> list[InstructSample]:
    """One sentence, as the answer of three documents."""
    return [sample("Say it.", text, id=f"{split}{each}", document_id=f"{split}{each}", split=split) for each in "abc"]


@pytest.mark.usefixtures("short")
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_the_job_tells_an_adapter_that_knows_its_training_by_heart(
    settings: Settings, engine: sa.Engine, tiny: TinyModels, tmp_path: Path
) -> None:
    """The candidate says its sentence whatever comes before, and never the champion's, which is held out."""
    adapter, learned = tmp_path / "adapter", three(FIRST, "train")
    shutil.copytree(tiny.first, adapter)
    (adapter / RECORD).write_text(json.dumps({"facts": {}, "learned": [each.id for each in learned]}))
    unseen = [sample("Say it.", BASE, id=f"later{each}", document_id=f"later{each}") for each in "abc"]
    samples = [*learned, *unseen, *three(SECOND, "test")]
    figures = generation(settings, tmp_path, samples, tiny.base, {"ada-1": adapter, "ada-0": tiny.second})
    found = figures["memorisation"]
    assert (found["trained"], found["held_out"]) == (3, 3), "what it did not get to is not begun"
    assert found["models"]["base"] == {"trained": 0.0, "held_out": 0.0, "longest": 0}
    assert found["models"]["ada-1"]["trained"] == found["models"]["ada-1"]["longest"] > 5
    assert (found["models"]["ada-1"]["held_out"], found["excess"] > 5) == (0.0, True)
    page.write(tmp_path, figures, "Ada Berg")
    assert "What it knows by heart" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("short")
def test_a_model_goes_on_alike_beside_whatever_else(tiny: TinyModels) -> None:
    model, tokenizer = causal.load_base(tiny.base, "float32")
    begun = beginnings(tokenizer, [*three(BASE, "train"), *three(SECOND, "test")], "Ada Berg", 512, trained=True)
    together = gone_on(model, tokenizer, begun)
    assert together == [text for each in begun for text in gone_on(model, tokenizer, [each])]
    own = {text for each, text in zip(begun, together, strict=True) if each.rest in BASE}
    assert all(text and text in BASE for text in own), "the base knows its own sentence"
    assert own


def test_an_adapter_says_what_it_learned_from_or_nothing(tmp_path: Path) -> None:
    assert learned_by(tmp_path) == []
    (tmp_path / RECORD).write_text(json.dumps({"facts": {}}))
    assert learned_by(tmp_path) == []
    (tmp_path / RECORD).write_text(json.dumps({"learned": ["a", "b"]}))
    assert learned_by(tmp_path) == ["a", "b"]
