"""The pages of reports: figures in tables and plots, answers in full."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twin_resources import report

KIND_COLUMNS = ("kind", "questions", "right document", "right first", "silent", "support", "p50 ms", "p95 ms")
STYLE_COLUMNS = ("who", "style", "95% interval", "texts long enough", "copied", "words in a row")
ARM_COLUMNS = ("model", "questions", "answered", "sentences", "supported", "low", "high")


def write_retrieval(folder: Path, figures: dict[str, Any], name: str) -> None:
    """The page of the retrieval report."""
    shown = {
        way: {metric: values[metric] for metric in ("ndcg@10", "recall@5", "recall@10", "mrr") if metric in values}
        for way, values in figures["ways"].items()
    }
    report.bars(shown, folder / "retrieval.png", "mean over questions")
    rows = [{"search": way, **values} for way, values in figures["ways"].items()]
    text = report.page(
        f"Search over {name}",
        f"{figures['queries']} questions made from headings and keywords. Their words stand in the passages, so "
        "read the figures against each other.",
        [("Figures", folder / "retrieval.png"), ("All metrics", report.table(rows))],
    )
    (folder / "report.html").write_text(text, encoding="utf-8")


def write_silence(folder: Path, figures: Mapping[str, Any], name: str) -> None:
    """The page of the silence report."""
    plot = folder / "evidence.png"
    series = {"answerable": figures["answerable"], "elsewhere": figures["elsewhere"]}
    report.spread(series, figures["threshold"], plot, "evidence that the author wrote about it")
    refused = figures["refused_elsewhere"]
    text = report.page(
        f"When {name}'s twin is silent",
        f"A question is answered from evidence {figures['threshold']:.2f} on. The threshold is set on "
        f"{len(figures['answerable'])} questions made from sentences of the author, so that at most "
        f"{figures['allowed']:.0%} of such questions are refused. Of {len(figures['elsewhere'])} questions about what "
        f"hardly any author here writes of, {refused['share']:.0%} are refused ({_interval(refused)}).",
        [
            ("Evidence", plot),
            ("Answered although they lie elsewhere", report.table(figures["answered_elsewhere"])),
        ],
    )
    (folder / "report.html").write_text(text, encoding="utf-8")


def write_answers(folder: Path, figures: Mapping[str, Any], name: str) -> None:
    """The page of the answers report."""
    plot = folder / "answers.png"
    kinds = figures["kinds"]
    bars = {
        measure: {kind: mine[measure]["share"] for kind, mine in kinds.items() if mine[measure]}
        for measure in ("right_document", "right_first", "silent", "support")
    }
    report.bars(bars, plot, "share of questions or sentences")
    answers = "".join(
        f"<h3>{html.escape(each['question'])}</h3><p>{html.escape(each['kind'])}, evidence {each['evidence']}, "
        f"{'right' if each['right'] else 'not right'}</p><blockquote>{html.escape(each['answer'])}</blockquote>"
        f"<p>{html.escape('; '.join(each['cited']))}</p>"
        for each in figures["shown"]
    )
    written = "".join(
        f"<h3>{html.escape(arm)}</h3>{report.table(mine['answers'])}" for arm, mine in figures["arms"].items()
    )
    text = report.page(
        f"How {name}'s twin answers",
        f"Questions of documents that the threshold of silence was not set on, answered as a reader is answered. "
        f"{figures['candidate'] or 'No adapter'}: {figures['because']}.",
        [
            ("By kind of question", plot),
            ("Figures", report.table(kind_rows(figures))),
            ("Support of what models write, before anything is left out", report.table(arm_rows(figures))),
            ("Answers in full", answers),
            ("What the models wrote", written or "<p>Nothing was written.</p>"),
        ],
    )
    (folder / "report.html").write_text(text, encoding="utf-8")


def write_style(folder: Path, figures: Mapping[str, Any], name: str) -> None:
    """The page of the style report."""
    verifier = figures.get("verifier")
    worth = (
        f"The verifiers tell {name} from people whom they never saw with AUC {verifier['auc']:.2f} and c@1 "
        f"{verifier['c@1']:.2f}, from 100 words and without looking at the topic. "
        if verifier
        else ""
    )
    if not figures["measured"]:
        text = report.page(f"How much it sounds like {name}", f"Not measured: {figures['because']}. {worth}", [])
        (folder / "report.html").write_text(text, encoding="utf-8")
        return
    arms = figures["arms"]
    plot = folder / "style.png"
    drawn = {arm: (mine["score"], mine["low"], mine["high"]) for arm, mine in arms.items() if mine["judged"]}
    report.intervals(drawn, plot, "0 other people's writing, 1 the author's own")
    habits = "".join(
        f"<h3>{html.escape(arm)}</h3>{report.table(mine['texture'])}" for arm, mine in arms.items() if mine["texture"]
    )
    texts = "".join(
        f"<h3>{html.escape(each['instruction'])}</h3>"
        + report.table([{"who": arm, "text": each[arm]} for arm in arms if arm in each])
        for each in figures["shown"]
    )
    text = report.page(
        f"How much it sounds like {name}",
        f"Models wrote what {len(figures['documents'])} documents are about that no training and no verifier saw. 0 is "
        f"how other people's writing scores, 1 how {name}'s own does on these documents. {worth}"
        "Copied is the share of runs of five words that stand in the author's documents: passages are there to be "
        "used, and a model without them that copies recites.",
        [
            ("Style", plot),
            ("Figures", report.table(style_rows(figures))),
            ("Habits that lie outside the author's own spread", habits or "<p>None.</p>"),
            ("Side by side", texts),
        ],
    )
    (folder / "report.html").write_text(text, encoding="utf-8")


def write_shadow(folder: Path, figures: Mapping[str, Any], name: str) -> None:
    """The page of the report on readers' questions; what was asked and answered is not on it, because it is kept for a
    while only."""
    unheard = f" Style was not measured: {figures['unheard']}." if figures["unheard"] else ""
    text = report.page(
        f"What {figures['candidate']} makes of {name}'s readers' questions",
        f"{figures['questions']} questions that readers asked, answered by it and by {figures['champion']}, which "
        f"speaks. Intervals are over conversations.{unheard}",
        [("Figures", report.table(shadow_rows(figures)))],
    )
    (folder / "report.html").write_text(text, encoding="utf-8")


def shadow_rows(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The measures on readers' questions, as rows of a table."""
    return [{"measure": name, **values} for name, values in figures["measures"].items()]


def style_rows(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The style of each writer, as rows of a table."""
    rows = []
    for arm, mine in figures["arms"].items():
        score = "" if mine["score"] is None else f"{mine['score']:.2f}"
        spread = f"{mine['low']:.2f} to {mine['high']:.2f}" if mine["judged"] else ""
        row = (
            arm,
            score,
            spread,
            f"{mine['judged']} of {len(mine['by_document'])}",
            f"{mine['copied']:.0%}",
            mine["longest_copied"],
        )
        rows.append(dict(zip(STYLE_COLUMNS, row, strict=True)))
    return rows


def kind_rows(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The figures of quotations by kind of question, as rows of a table."""
    rows = []
    for kind, mine in figures["kinds"].items():
        shares = [_percent(mine[name]) for name in ("right_document", "right_first", "silent", "support")]
        row = (kind, mine["questions"], *shares, *mine["first_words_ms"])
        rows.append(dict(zip(KIND_COLUMNS, row, strict=True)))
    return rows


def arm_rows(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How many of the planned questions each model was asked, and the support of what it wrote, as rows of a table."""
    rows = []
    for arm, mine in figures["arms"].items():
        asked = f"{mine['questions']} of {mine['planned']}"
        support = mine["support"]
        row = (arm, asked, mine["answered"], mine["sentences"], mine["supported"], support["low"], support["high"])
        rows.append(dict(zip(ARM_COLUMNS, row, strict=True)))
    return rows


def _percent(share: Mapping[str, float] | None) -> str:
    return f"{share['share']:.0%} ({_interval(share)})" if share else ""


def _interval(share: Mapping[str, float]) -> str:
    return f"{share['low']:.0%} to {share['high']:.0%}"


def judge_told(figures: Mapping[str, Any]) -> str:
    """What a judge said, in a sentence or two."""
    if not figures["answered"]:
        return f"The judge at {figures['host']} gave no verdict: {figures['because']}"
    told = [
        f"against the {rival} it wins {mine['wins']} of {mine['pairs']} pairs, loses {mine['losses']} and ties "
        f"{mine['ties']}" + (f"; {mine['nonsense']} verdicts could not be read" if mine["nonsense"] else "")
        for rival, mine in figures["against"].items()
    ]
    agreed = figures["people"]
    people = (
        f"readers agree with it in {agreed['agreed']} of {agreed['votes']} answers ({_interval(agreed)})"
        if agreed
        else "no reader has judged what it decided, so nobody knows what it is worth"
    )
    return f"The judge at {figures['host']} says: {'; '.join(told)}. {people[0].upper()}{people[1:]}."
