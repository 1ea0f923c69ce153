"""The page of the generation report: figures in tables and plots, answers in full."""

from __future__ import annotations

import html
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from twin_assets.evaluate.metrics import FEWEST_DOCUMENTS, perplexity
from twin_resources import report

WORST = 10
"""Documents that the page names."""


def write(folder: Path, figures: dict[str, Any], name: str) -> None:
    """The page of the generation report."""
    report.bars({"held-out": figures["perplexity"]}, folder / "perplexity.png", "perplexity, lower is better")
    rows = [
        {"model": model, "loss a token": loss, "perplexity": figures["perplexity"][model]}
        for model, loss in figures["loss"].items()
    ]
    if led := figures.get("tournament"):
        others = f"the best of {led['rivals']} adapters of other authors"
        best = others if led["rivals"] > 1 else "the adapter of another author"
        rows.append({"model": best, "loss a token": led["loss"]})
        rows[-1]["perplexity"] = perplexity(led["loss"])
    beside = "" if led else " No other author has an adapter over this base yet that it could be measured against."
    answers = "".join(
        f"<h3>{html.escape(shown['instruction'])}</h3>"
        + report.table([{"who": who, "text": shown[who]} for who in ("author", "base", "twin")])
        for shown in figures["shown"]
    )
    low, high = figures["gain_interval"]
    text = report.page(
        f"{figures['candidate']} writes as {name}",
        f"{figures['samples']} of {figures['available']} held-out answers ({figures['answer_tokens']} tokens), of "
        f"{figures['documents']} documents that no training saw. The loss falls by {figures['gain']:.1%} against the "
        f"base; on documents like these, with a 95% interval of {low:.1%} to {high:.1%}.{beside}",
        [
            ("Perplexity", folder / "perplexity.png"),
            ("Figures", report.table(rows)),
            *_by_document(folder, figures),
            ("What it knows by heart", _memorised(figures.get("memorisation"))),
            *_forgotten(folder, figures.get("forgetting")),
            *_followed(figures.get("following")),
            *_exposed(figures.get("canaries")),
            ("Answers side by side", answers),
        ],
    )
    (folder / "report.html").write_text(text, encoding="utf-8")


def _by_document(folder: Path, figures: Mapping[str, Any]) -> list[tuple[str, str | Path]]:
    """Parts of a page: loss by date of publication, and which documents are predicted worst."""
    told = figures.get("by_document", ())
    dated = [(date.fromisoformat(each["published"]), each["loss"]) for each in told if each["published"]]
    parts: list[tuple[str, str | Path]] = []
    if dated:
        plot = folder / "over_time.png"
        series = {model: [(day, loss[model]) for day, loss in dated] for model in dated[0][1]}
        report.over_time(series, plot, "loss a token, lower is better")
        parts.append(("By date of publication", plot))
    said = f"<p>{html.escape(newer_told(figures))}</p>"
    parts.append(("Whether newer texts are predicted worse", said + report.table(change_rows(figures))))
    parts.append(("Texts that it predicts worst", report.table(document_rows(figures)[:WORST])))
    return parts


def _memorised(found: Mapping[str, Any] | None) -> str:
    """What was memorised, as HTML."""
    if not found:
        return (
            "<p>Not measured: too few texts that it is known to have learned from, or held-out ones, are long enough."
            "</p>"
        )
    low, high = found["interval"]
    said = (
        f"Given the question and the first words of {found['trained']} texts that it was trained on and of "
        f"{found['held_out']} held-out ones, it goes on word for word: {found['excess']:+.1f} words in a row beyond "
        f"what it recites of held-out texts and beyond the base, with a 95% interval of {low:+.1f} to {high:+.1f}. "
        "Runs of fewer than five words are none."
    )
    return f"<p>{html.escape(said)}</p>" + report.table(memorised_rows(found))


def _forgotten(folder: Path, found: Mapping[str, Any] | None) -> list[tuple[str, str | Path]]:
    """Parts of a page: how well base and candidate predict the general set; none of a report without it."""
    if not found:
        return []
    plot = folder / "general.png"
    report.bars(found["bits_per_byte"], plot, "bits a byte, lower is better")
    low, high = found["interval"]
    direction = "above" if found["rise"] >= 0 else "below"
    said = (
        f"Of {found['items']} plain questions and ordinary texts that no author here wrote, a byte costs "
        f"{found['candidate']} {abs(found['rise']):.1%} {direction} what it costs the base; on others like these, with "
        f"a 95% interval of {low:+.1%} to {high:+.1%}. What rises much was forgotten. These rose most:"
    )
    return [
        ("What it still knows of everything else", plot),
        ("What it forgot", f"<p>{html.escape(said)}</p>" + report.table(found["most"])),
    ]


def _followed(found: Mapping[str, Any] | None) -> list[tuple[str, str | Path]]:
    """A part of a page: how many instructions base and candidate followed; none where none was put."""
    if not found:
        return []
    low, high = found["interval"]
    said = (
        f"{found['instructions']} instructions of which a program tells whether they were followed, such as to answer "
        f"in one sentence or in German. The share that {found['candidate']} followed lies {found['difference']:+.0%} "
        f"from the base's, with a 95% interval of {low:+.0%} to {high:+.0%}. These only one of the two followed:"
    )
    rows = report.table(followed_rows(found))
    return [("Whether it does what it is told", rows + f"<p>{html.escape(said)}</p>" + report.table(found["shown"]))]


def _exposed(found: Mapping[str, Any] | None) -> list[tuple[str, str | Path]]:
    """A part of a page: where canaries rank; none where none was learned from."""
    if not found:
        return []
    said = (
        f"Made-up sentences that it learned from once, each among {found['among'] - 1} alike with other numbers, which "
        f"it never saw. Ranks as low as these come by chance with a probability of {found['p']:.2g}."
    )
    return [("Canaries", f"<p>{html.escape(said)}</p>" + report.table(found["canaries"]))]


def followed_rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How many instructions each model followed, as rows of a table."""
    return [
        {"model": model, "followed": followed, "instructions": found["instructions"]}
        for model, followed in found["models"].items()
    ]


def memorised_rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The words in a row that each model recites, as rows of a table."""
    return [
        {
            "model": model,
            "of texts trained on": mine["trained"],
            "of held-out texts": mine["held_out"],
            "longest of texts trained on": mine["longest"],
        }
        for model, mine in found["models"].items()
    ]


def document_rows(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The held-out documents as rows of a table, those that the candidate predicts worst first."""
    return [
        {
            "text": each["title"],
            "published": each["published"] or "",
            "answers": each["answers"],
            "tokens": each["tokens"],
            **{f"loss of {model}": loss for model, loss in each["loss"].items()},
        }
        for each in figures.get("by_document", ())
    ]


def change_rows(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How the loss of each model changes from older to newer documents, as rows of a table."""
    changed = figures.get("over_time")
    return [{"model": model, **change} for model, change in changed["models"].items()] if changed else []


def newer_told(figures: Mapping[str, Any]) -> str:
    """Whether newer documents are predicted worse, in a sentence."""
    changed = figures.get("over_time")
    if not changed:
        return f"Not known: it takes {FEWEST_DOCUMENTS} documents published before some day, and as many since."
    mine = changed["models"][figures["candidate"]]
    halves = f"{changed['newer']} documents since {changed['since']} and {changed['older']} before"
    sure = "certainly " if mine["low"] > 0 or mine["high"] < 0 else "not certainly "
    side = "worse" if mine["difference"] > 0 else "better"
    return (
        f"Of {halves}, the newer ones are {sure}predicted {side}: the loss of {figures['candidate']} lies "
        f"{mine['difference']:+.2f} from the older ones', with a 95% interval of {mine['low']:+.2f} to "
        f"{mine['high']:+.2f}. Where the base's differs as much, it is the texts that differ."
    )
