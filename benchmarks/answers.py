"""How a running API answers questions whose documents are known, and questions that nothing answers.

    python -m benchmarks.answers --author mira benchmarks/questions/mira.jsonl benchmarks/questions/off-corpus.jsonl

Each line of a file is a question with the ``documents`` that answer it (none: nothing was written of it), its ``kind``,
earlier turns as ``history``, the ``set`` it belongs to (what is tuned on ``tune`` is reported on ``held-out``) and,
where there are some, the ``answer`` expected and what the author ``says`` to it: words of which one has to be quoted.
"""

from __future__ import annotations

import argparse
import json
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from twin_resources.text.words import content_words


def asked(client: httpx.Client, author: str, question: dict[str, Any]) -> dict[str, Any]:
    """The answer by OpenAI's call, which takes earlier turns; with the milliseconds it took."""
    turns = [*question.get("history", ()), {"role": "user", "content": question["question"]}]
    start = time.perf_counter()
    response = client.post("/v1/chat/completions", json={"model": f"twin/{author}", "messages": turns})
    took = (time.perf_counter() - start) * 1000
    return {**response.raise_for_status().json()["twin"], "ms": took}


def wait_until_ready(client: httpx.Client, author: str) -> None:
    """Ask until search is up; the first answer also warms what is loaded on first use.

    Raises:
        SystemExit: it does not come up in two minutes.
    """
    body = {"model": f"twin/{author}", "messages": [{"role": "user", "content": "Bist du da, und warum?"}]}
    for _ in range(60):
        try:
            response = client.post("/v1/chat/completions", json=body)
        except httpx.ConnectError:
            response = None
        if response is not None and response.status_code not in (429, 503):
            response.raise_for_status()
            return
        time.sleep(2)
    raise SystemExit(f"{client.base_url} is not ready to answer for {author}; `twin status` says why")


_MARKS = re.compile(r"[*_`]")
_COLUMNS = (
    *("set", "answerable", "cited", "cited first", "on the point", "answered", "answer said", "wrongly silent"),
    *("off-corpus", "refused"),
    *("p50", "p95"),
)


@dataclass(frozen=True)
class Judged:
    """An answer held against the documents that answer its question; an empty set of them means that nothing does."""

    answerable: bool
    abstained: bool
    cited: bool
    """Whether one of the documents is cited at all."""
    first: bool
    """Whether the answer opens with words of one of them."""
    on_point: float
    """Share of the words said that stand in one of them, in [0, 1]."""
    answered: bool | None
    """Whether it quotes the author's words that answer the question; None where these were not written down."""
    said: float | None
    """Share of the words of the answer expected that are said, stop words aside, in [0, 1] (the recall of ROUGE-1, Lin
    2004); 0 where nothing is said, None where no answer was written down."""
    ms: float


def judge(found: dict[str, Any], documents: Sequence[str], answer: str = "", says: Sequence[str] = ()) -> Judged:
    """Hold an answer against the documents that answer the question, files known by the end of their address, against
    the ``answer`` expected, and against the author's words of which one answers."""
    right = {each["marker"]: _is_one_of(each["url"], documents) for each in found["citations"]}
    words = {True: 0, False: 0}
    for sentence in found["sentences"]:
        words[any(right.get(marker, False) for marker in sentence["markers"])] += len(sentence["text"].split())
    quoted = " ".join(sentence["text"] for sentence in found["sentences"])
    return Judged(
        answerable=bool(documents),
        abstained=found["abstained"],
        cited=any(right.values()),
        first=bool(right) and right[min(right)],
        answered=any(_plain(words) in _plain(quoted) for words in says) if says else None,
        said=_recall(answer, quoted) if answer else None,
        on_point=words[True] / max(1, words[True] + words[False]),
        ms=found["ms"],
    )


def _recall(wanted: str, said: str) -> float:
    words = content_words(wanted)
    return len(words & content_words(said)) / max(1, len(words))


def _plain(text: str) -> str:
    """A text on one line, in plain letters, without the marks of Markdown."""
    return " ".join(_MARKS.sub("", unicodedata.normalize("NFKC", text)).casefold().split())


def _is_one_of(url: str, documents: Sequence[str]) -> bool:
    return any(url.endswith(wanted) or wanted.endswith(url) for wanted in documents)


def main() -> None:
    """Ask everything and print a table by set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--author", required=True)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    chosen = parser.parse_args()
    questions = [json.loads(line) for path in chosen.files for line in path.read_text(encoding="utf-8").splitlines()]
    missed: Counter[str] = Counter()
    rows: dict[str, list[Judged]] = {}
    with httpx.Client(base_url=chosen.url, timeout=60) as client:
        wait_until_ready(client, chosen.author)
        for question in questions:
            judged = judge(
                asked(client, chosen.author, question),
                question["documents"],
                question.get("answer", ""),
                question.get("says", ()),
            )
            rows.setdefault(question["set"], []).append(judged)
            if judged.answerable and not judged.cited and question["set"] == "held-out":
                missed[question["kind"]] += 1
    print("| " + " | ".join(_COLUMNS) + " |\n" + "|---" * len(_COLUMNS) + "|")
    for name, each in rows.items():
        print(f"| {name} | {' | '.join(_cells(each))} |")
    print("held-out questions missed, by kind:", dict(missed.most_common()))


def _cells(judged: Sequence[Judged]) -> list[str]:
    known = [each for each in judged if each.answerable]
    spoken = [each for each in known if not each.abstained]
    off = [each.abstained for each in judged if not each.answerable]
    middle, slow = np.percentile([each.ms for each in judged], [50, 95])
    return [
        str(len(known)),
        _share([each.cited for each in known]),
        _share([each.first for each in known]),
        _share([each.on_point for each in spoken]),
        _share([each.answered for each in known if each.answered is not None]),
        _share([each.said for each in known if each.said is not None]),
        _share([each.abstained for each in known]),
        str(len(off)),
        _share(off),
        f"{middle:.0f} ms",
        f"{slow:.0f} ms",
    ]


def _share(values: Sequence[float]) -> str:
    return f"{np.mean(values):.0%}" if values else ""


if __name__ == "__main__":
    main()
