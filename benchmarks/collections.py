"""Test collections with judgements, read as an author's documents: Cranfield and a part of DBpedia-Entity.

Both lie in ``../shared/data/retrieval`` where they are at all. Cranfield is judged by degree, of which the codes 1
to 4 count as 1; DBpedia by grade, whose gain is ``2 ** grade - 1`` as in its published baselines.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "retrieval"


@dataclass(frozen=True)
class Collection:
    """Documents as JSONL objects, and queries with the gain of each relevant URL."""

    name: str
    documents: list[dict[str, str]]
    queries: list[tuple[str, Mapping[str, float]]]


def available() -> list[Collection]:
    """The collections that are here."""
    return [_cranfield(), _dbpedia()] if FOLDER.is_dir() else []


def ndcg(ranking: Sequence[str], gains: Mapping[str, float], depth: int = 10) -> float:
    """Normalised discounted cumulative gain (Järvelin and Kekäläinen 2002)."""
    best = sorted(gains.values(), reverse=True)[:depth]
    ideal = sum(gain / math.log2(rank + 2) for rank, gain in enumerate(best))
    return sum(gains.get(url, 0) / math.log2(rank + 2) for rank, url in enumerate(ranking[:depth])) / ideal


def recall(ranking: Sequence[str], gains: Mapping[str, float], depth: int = 100) -> float:
    """Share of the relevant documents among the first ``depth``."""
    return len(set(ranking[:depth]) & set(gains)) / len(gains)


def _cranfield() -> Collection:
    folder = FOLDER / "cranfield"
    documents = []
    parts = re.split(r"^\.I (\d+)\n", (folder / "cran.all.1400").read_text(), flags=re.M)[1:]
    for number, block in zip(parts[::2], parts[1::2], strict=True):
        pieces = re.split(r"^\.([TABW])\n", block, flags=re.M)
        fields = dict(zip(pieces[1::2], pieces[2::2], strict=True))
        documents.append(_document("cranfield", number, fields.get("T", ""), fields.get("W", "").strip()))
    relevant: dict[int, dict[str, float]] = defaultdict(dict)
    for line in (folder / "cranqrel").read_text().splitlines():
        query, number, code = line.split()
        if code in ("1", "2", "3", "4"):
            relevant[int(query)][_url("cranfield", number)] = 1.0
    texts = re.split(r"^\.I \d+\n", (folder / "cran.qry").read_text(), flags=re.M)[1:]
    queries = [(" ".join(text.split(".W\n")[1].split()), relevant[place]) for place, text in enumerate(texts, start=1)]
    return Collection("cranfield", documents, [query for query in queries if query[1]])


def _dbpedia() -> Collection:
    folder = FOLDER / "dbpedia"
    rows = [json.loads(line) for line in (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]
    documents = [_document("dbpedia", row["_id"], row["title"], row["text"]) for row in rows]
    relevant: dict[str, dict[str, float]] = defaultdict(dict)
    for line in (folder / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        if int(grade) > 0:
            relevant[query][_url("dbpedia", document)] = 2.0 ** int(grade) - 1
    asked = [json.loads(line) for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    return Collection(
        "dbpedia", documents, [(row["text"], relevant[row["_id"]]) for row in asked if relevant[row["_id"]]]
    )


def _document(name: str, key: str, title: str, text: str) -> dict[str, str]:
    return {"url": _url(name, key), "title": " ".join(title.split()), "text": text or title}


def _url(name: str, key: str) -> str:
    return f"https://{name}.example/{key.strip('<>').replace(' ', '_')}"
