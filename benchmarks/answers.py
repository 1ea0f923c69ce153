"""How a running API answers questions whose documents are known, and questions that nothing answers.

    python -m benchmarks.answers --author mira benchmarks/questions/mira.jsonl benchmarks/questions/off-corpus.jsonl

Each line of a file is a question with the ``documents`` that answer it (none: nothing was written of it), its ``kind``,
earlier turns as ``history``, and the ``set`` it belongs to: what is tuned on ``tune`` is reported on ``held-out``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np


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
        if response is not None and response.status_code != 503:
            response.raise_for_status()
            return
        time.sleep(2)
    raise SystemExit(f"{client.base_url} is not ready to answer for {author}; `twin status` says why")


def cites(found: dict[str, Any], documents: Sequence[str]) -> bool:
    """Whether one of the documents is cited; files are known by the end of their address."""
    urls = [citation["url"] for citation in found["citations"]]
    return any(url.endswith(wanted) or wanted.endswith(url) for url in urls for wanted in documents)


def main() -> None:
    """Ask everything and print a table by set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--author", required=True)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    chosen = parser.parse_args()
    questions = [json.loads(line) for path in chosen.files for line in path.read_text(encoding="utf-8").splitlines()]
    missed: Counter[str] = Counter()
    rows: dict[str, list[tuple[bool, dict[str, Any], bool]]] = {}
    with httpx.Client(base_url=chosen.url, timeout=60) as client:
        wait_until_ready(client, chosen.author)
        for question in questions:
            found = asked(client, chosen.author, question)
            right = cites(found, question["documents"])
            rows.setdefault(question["set"], []).append((bool(question["documents"]), found, right))
            if question["documents"] and not right and question["set"] == "held-out":
                missed[question["kind"]] += 1
    print("| set | answerable | right document cited | wrongly silent | off-corpus | refused | p50 | p95 |")
    print("|---|---|---|---|---|---|---|---|")
    for name, each in rows.items():
        answerable = [(found, right) for known, found, right in each if known]
        off = [found for known, found, _ in each if not known]
        times = [found["ms"] for _, found, _ in each]
        shares = (
            f"{np.mean([right for _, right in answerable]):.0%}",
            f"{np.mean([found['abstained'] for found, _ in answerable]):.0%}",
            len(off),
            f"{np.mean([found['abstained'] for found in off]):.0%}" if off else "",
        )
        middle, slow = np.percentile(times, [50, 95])
        print(f"| {name} | {len(answerable)} | {' | '.join(map(str, shares))} | {middle:.0f} ms | {slow:.0f} ms |")
    print("held-out questions missed, by kind:", dict(missed.most_common()))


if __name__ == "__main__":
    main()
