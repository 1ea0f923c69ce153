"""What the quality checks find, and what they say of clean samples.

    python -m benchmarks.quality --data ../shared/data

Clean samples are made by our own builder from the text of five authors; faults are put into them (``faults.py``) and
counted as found. Thresholds were set on the authors of ``TUNED`` alone, but that of reworded samples on til's first
documents. ``--only reworded`` plants nothing but samples in other words; ``--only tools`` compares ways of finding
repeats, SemHash and rensa where the extra ``bench`` is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import tempfile
import time
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmarks import corpus, faults
from benchmarks.features import ROOT
from benchmarks.table import Table
from twin_assets.dataset import instruct
from twin_assets.dataset.checked import as_checked
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.quality import inspection, reading, texts
from twin_resources.quality.likeness import Likeness, said
from twin_resources.quality.samples import Sample, Spool
from twin_resources.quality.sources import Sources
from twin_resources.retrieval.embedder import Embedder, Encode
from twin_resources.sources.registry import registry
from twin_resources.storage.warehouse import Warehouse

TUNED = ("labonne", "mira")
AUTHORS = (*TUNED, "iusztin", "til", "sompolinsky")
_PARTS = ("handbook", "authors", "reworded", "tools")
_TERMS = 200
_MOST = 1000
"""Samples of an author that faults are put into."""
_FAULTS = 30
_REWORDED = 120


@dataclass(frozen=True)
class Corpus:
    """An author's samples as our builder makes them, and what they were made of."""

    name: str
    samples: tuple[Sample, ...]
    sources: Sources
    texts: tuple[str, ...]


def corpora(data: Path, home: Path, wanted: Container[str] = AUTHORS) -> Iterator[Corpus]:
    """The five authors, or some of them, one after another, through a database of its own."""
    handbook, til, sample = data / "handbook", data / "authors" / "til", ROOT / "examples" / "sample" / "medium"
    medium = data / "medium" / "export" / "medium-export"
    authors = (
        ("labonne", "Maxime Labonne", "handbook", handbook, handbook / "ArticleDocument.json"),
        ("mira", "Mira Solberg", "medium_export", sample, sample),
        ("iusztin", "Paul Iusztin", "handbook", handbook, handbook / "ArticleDocument.json"),
        ("til", "Til", "folder", til, til),
        ("sompolinsky", "Yonatan Sompolinsky", "medium_export", medium, medium),
    )
    settings = Settings(home=home)
    try:
        engine = postgres.engine(postgres.prepare(settings.postgres))
        warehouse = Warehouse(engine)
        for key, name, kind, location, raw in authors:
            if key not in wanted:
                continue
            of = corpus.author(key, name)
            source = registry()[kind](str(location), of.author)
            corpus.take(engine, settings, of, source, source.read())
            made = instruct.build(key, warehouse.chunks.current(key)).samples
            read = tuple(document.text for document in warehouse.clean.documents(key))
            samples = tuple(as_checked(each, index) for index, each in enumerate(made))
            yield Corpus(key, samples, Sources(texts.sources([raw])), read)
    finally:
        postgres.stop(settings.postgres)


def coverage(articles: Sequence[str], answers: Sequence[str]) -> float:
    """Of the articles' terms with the highest TF-IDF, the share that stands in the answers."""
    vectorizer = TfidfVectorizer(stop_words="english", token_pattern=r"[A-Za-z][A-Za-z-]{2,}")
    weights = np.asarray(vectorizer.fit_transform(articles).sum(axis=0)).ravel()
    terms = vectorizer.get_feature_names_out()[np.argsort(-weights)[:_TERMS]]
    analyse = vectorizer.build_analyzer()
    found = {word for answer in answers for word in analyse(answer)}
    return float(np.mean([term in found for term in terms]))


def author(table: Table, of: Corpus) -> tuple[Sample, ...]:
    """What the checks say of clean samples; returns those that nothing is against."""
    verdict = inspection.inspect(of.samples, of.sources)
    flagged = {flag.index for flag in verdict.flags}
    table.add(f"{of.name}: samples", len(of.samples), "samples")
    table.add(f"{of.name}: words of answers grounded", verdict.measures["grounded_words"], "share")
    table.add(f"{of.name}: held-out samples that leak", sum(verdict.reasons(["leaked_instruction", "leaked_answer",
              "leaked_meaning"]).values()), "samples")  # fmt: skip
    table.add(f"{of.name}: clean samples flagged", len(flagged) / len(of.samples), "share")
    table.add(f"{of.name}: top terms in answers", coverage(of.texts, [each.answer for each in of.samples]), "share")
    kept = [each for each in of.samples if each.index not in flagged][:_MOST]
    return tuple(replace(each, index=index) for index, each in enumerate(kept))


def planted(table: Table, of: Corpus, clean: Sequence[Sample], seed: int) -> None:
    """The recall of each fault put into clean samples."""
    made = faults.plant(clean, seed, max(5, min(_FAULTS, len(clean) // 25)))
    embedder = Embedder.of(Settings())
    verdict = inspection.inspect(made.samples, of.sources, encode=lambda batch: embedder.encode(list(batch)))
    found: dict[int, set[str]] = {}
    for flag in verdict.flags:
        found.setdefault(flag.index, set()).add(flag.check)
    kind = "tuned on" if of.name in TUNED else "reported on"
    for name, places in made.at.items():
        if places:
            hits = [any(found.get(each, set()) & faults.EXPECTED[name] for each in pair) for pair in places]
            table.add(f"{of.name} ({kind}): {name}, {len(hits)}", float(np.mean(hits)), "share")


def reworded(table: Table, of: Corpus, seed: int) -> None:
    """Recall of training samples that stand there again in another order and partly in other words, and clean samples
    called repeats besides: by words, and by the packaged embedder as well."""
    dice = random.Random(seed)
    clean = [replace(each, index=index) for index, each in enumerate(of.samples[:_MOST])]
    able = [each for each in clean if each.split == "train" and not each.context and len(each.answer.split()) >= 12]
    dice.shuffle(able)
    pairs = [(each.index, made) for each in able[:_REWORDED] if (made := faults.paraphrased(each, dice))]
    samples = [*clean, *(made for _, made in pairs)]
    planted = [frozenset((first, len(clean) + place)) for place, (first, _) in enumerate(pairs)]
    embedder = Embedder.of(Settings())
    encoders: dict[str, Encode | None] = {
        "words": None,
        "words and embedder": lambda texts: embedder.encode(list(texts)),
    }
    for name, encode in encoders.items():
        found = _ours(samples, encode)
        others = {max(pair) for pair in found if max(pair) < len(clean)}
        what = f"{of.name}, {len(clean)} samples, by {name}"
        table.add(f"{what}: reworded, {len(pairs)}", float(np.mean([pair in found for pair in planted])), "share")
        table.add(f"{what}: clean ones called repeats", len(others) / len(clean), "share")


def handbook(table: Table, data: Path) -> None:
    """The dataset that was generated without its sources."""
    sources = Sources(texts.sources([data / "handbook" / "ArticleDocument.json"]))
    files = data / "handbook" / "artifacts"
    for name in ("instruct_datasets", "preference_datasets"):
        verdict = inspection.inspect(reading.samples([files / f"{name}.json"]), sources)
        reasons = verdict.reasons()
        table.add(f"Handbook {name}: ungrounded", verdict.shares["ungrounded"], "share")
        table.add(f"Handbook {name}: verbatim", verdict.measures["verbatim"], "share")
        table.add(f"Handbook {name}: test instructions in train", reasons["leaked_instruction"], "samples")
        table.add(f"Handbook {name}: blocked", float(not verdict.passed), "share")
    answers = [each.answer for each in reading.samples([files / "instruct_datasets.json"])]
    articles = [sources.text(number) for number in range(len(sources))]
    table.add("Handbook's own set: top terms in answers", coverage(articles, answers), "share")


def tools(table: Table, clean: Sequence[Sample]) -> None:
    """Ways of finding repeats, on the same samples with the same near and reworded ones among them."""
    made = faults.plant(clean, 7, 25)
    samples = [replace(each, split="train", context=()) for each in made.samples if not each.silent]
    row = {each.index: number for number, each in enumerate(samples)}
    names = ("a paraphrased duplicate", "a cross-post over the split", "a test sample in train")
    wanted = {name: [frozenset(row[each] for each in pair) for pair in made.at[name]] for name in names}
    for name, find in _FINDERS.items():
        if name in ("rensa", "semhash") and importlib.util.find_spec(name) is None:
            table.note(f"{name}: not measured, it is not installed")
            continue
        start = time.perf_counter()
        found = find(samples)
        table.add(f"{len(samples):,} samples, {name}", time.perf_counter() - start, "s")
        for kind, pairs in wanted.items():
            table.add(f"{name}: {kind}, {len(pairs)}", float(np.mean([each in found for each in pairs])), "share")
        known = {each for pairs in wanted.values() for pair in pairs for each in pair}
        others = len({max(pair) for pair in found} - known)
        table.add(f"{name}: others called repeats", others, "samples")


def _ours(samples: Sequence[Sample], encode: Encode | None = None) -> set[frozenset[int]]:
    with Spool() as spool, Likeness() as likeness:
        for each in samples:
            spool.add(each)
            likeness.add(each)
        return {frozenset((pair.first, pair.second)) for pair in likeness.pairs(spool, encode)}


def _grams(sample: Sample) -> list[str]:
    words = said(sample).casefold().split()
    return [" ".join(words[start : start + 3]) for start in range(max(1, len(words) - 2))]


def _datasketch(samples: Sequence[Sample]) -> set[frozenset[int]]:
    from datasketch import MinHash, MinHashLSH

    index, found = MinHashLSH(threshold=0.5, num_perm=128), set()
    for number, each in enumerate(samples):
        sketch = MinHash(num_perm=128)
        sketch.update_batch([gram.encode() for gram in _grams(each)])
        found |= {frozenset((int(str(other)), number)) for other in index.query(sketch)}
        index.insert(str(number), sketch)
    return found


def _rensa(samples: Sequence[Sample]) -> set[frozenset[int]]:
    from rensa import RMinHash, RMinHashLSH  # pyright: ignore[reportMissingImports]

    index, found = RMinHashLSH(threshold=0.5, num_perm=128, num_bands=32), set()
    for number, each in enumerate(samples):
        sketch = RMinHash(num_perm=128, seed=1)
        sketch.update(_grams(each))
        found |= {frozenset((int(other), number)) for other in index.query(sketch)}
        index.insert(number, sketch)
    return found


def _semhash(samples: Sequence[Sample]) -> set[frozenset[int]]:
    from semhash import SemHash  # pyright: ignore[reportMissingImports]

    class Encoder:
        """The packaged model, as SemHash calls it."""

        def __init__(self) -> None:
            self._model = Embedder.of(Settings())

        def encode(self, inputs: Sequence[str], **_: object) -> np.ndarray:
            return self._model.encode(list(inputs))

    records = [{"id": str(number), "text": said(each)} for number, each in enumerate(samples)]
    made = SemHash.from_records(records=records, columns=["text"], model=Encoder()).self_deduplicate(threshold=0.9)
    return {
        frozenset((int(each.record["id"]), int(other["id"]))) for each in made.filtered for other, _ in each.duplicates
    }


_FINDERS: dict[str, Callable[[Sequence[Sample]], set[frozenset[int]]]] = {
    "ours": _ours,
    "datasketch": _datasketch,
    "rensa": _rensa,
    "semhash": _semhash,
}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="where the real data is")
    parser.add_argument("--only", choices=_PARTS, action="append")
    parser.add_argument("--author", choices=AUTHORS, action="append", help="this author; can be given more than once")
    parser.add_argument("--most", type=int, default=10**9, help="samples of each author that are looked at")
    parser.add_argument("--seed", type=int, default=11)
    chosen = parser.parse_args()
    parts = set(chosen.only or _PARTS)
    table = Table()
    if "handbook" in parts:
        handbook(table, chosen.data)
    if parts & {"authors", "reworded", "tools"}:
        with tempfile.TemporaryDirectory(prefix="twin-quality-") as home:
            for of in corpora(chosen.data, Path(home), chosen.author or AUTHORS):
                of = replace(of, samples=of.samples[: chosen.most])
                if "authors" in parts:
                    planted(table, of, author(table, of), chosen.seed)
                if "reworded" in parts:
                    reworded(table, of, chosen.seed)
                if "tools" in parts and of.name == "iusztin":
                    tools(table, of.samples)
    print(f"\n{table.markdown()}")


if __name__ == "__main__":
    main()
