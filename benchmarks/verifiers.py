"""How well each verifier tells five authors from impostors that it never saw.

    python -m benchmarks.verifiers --data ../shared/data [--only til] [--embed]

Impostors are the ``measuring`` authors of the reference, of whom nothing is learned, and the other four authors, of
whom nothing is even in the reference. Every text is scored by verifiers made without its document.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import corpus
from benchmarks.features import ROOT
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.retrieval.embedder import Embedder
from twin_resources.sources.registry import registry
from twin_resources.storage.clean_store import CleanDocument
from twin_resources.storage.warehouse import Warehouse
from twin_resources.style import metrics, profile
from twin_resources.style.calibration import COMBINED, Scored, calibrate, cross_score, folds_of, held_out, together
from twin_resources.style.reference import Group, Reference, Texts, packaged
from twin_resources.style.traits import Traits

AUTHORS = ("labonne", "mira", "iusztin", "til", "sompolinsky")


def documents(data: Path, home: Path) -> Iterator[tuple[str, list[CleanDocument]]]:
    """The clean prose of each author, through a database of its own."""
    handbook, sample = data / "handbook", ROOT / "examples" / "sample"
    wanted = (
        ("labonne", "Maxime Labonne", "handbook", handbook),
        ("mira", "Mira Solberg", "medium_export", sample / "medium"),
        ("mira", "Mira Solberg", "substack_export", sample / "substack"),
        ("iusztin", "Paul Iusztin", "handbook", handbook),
        ("til", "Til", "folder", data / "authors" / "til"),
        ("sompolinsky", "Yonatan Sompolinsky", "medium_export", data / "medium" / "export" / "medium-export"),
    )
    settings = Settings(home=home)
    try:
        engine = postgres.engine(postgres.prepare(settings.postgres))
        for key, name, kind, location in wanted:
            of = corpus.author(key, name)
            source = registry()[kind](str(location), of.author)
            corpus.take(engine, settings, of, source, source.read())
        for key in AUTHORS:
            yield key, list(Warehouse(engine).clean.documents(key, "articles"))
    finally:
        postgres.stop(settings.postgres)


def with_others(reference: Reference, others: Mapping[str, Group]) -> tuple[Reference, np.ndarray]:
    """The reference with whole other authors among those who measure, and which rows are theirs, by number from 1."""
    measuring = reference.measuring
    group, kinds = measuring, [np.zeros(len(measuring.authors), np.int64)]
    for number, other in enumerate(others.values(), start=1):
        group = Group(_stacked(group.short, other.short), _stacked(group.long, other.long),
                      np.concatenate((group.authors, other.authors)))  # fmt: skip
        kinds.append(np.full(len(other.authors), number))
    population, fitting, _ = reference.groups
    return replace(reference, groups=(population, fitting, group)), np.concatenate(kinds)


def _stacked(one: Texts, two: Texts) -> Texts:
    first, second = one.traits, two.traits
    traits = Traits(
        plain=np.concatenate((first.plain, second.plain)),
        masked=np.concatenate((first.masked, second.masked)),
        function=np.concatenate((first.function, second.function)),
        windows=np.concatenate((first.windows, second.windows)),
        ends=np.concatenate((first.ends, second.ends + first.ends[-1])),
    )
    vectors = None if one.vectors is None or two.vectors is None else np.concatenate((one.vectors, two.vectors))
    return Texts(traits, vectors)


def rows(name: str, own: Group, scored: tuple[Scored, Scored], kinds: np.ndarray) -> Iterator[str]:
    """Lines of the table: a voice each, at both lengths, against the reference and against the nearest other author."""
    voices = profile.voices_for(own)
    fold = folds_of(own.authors)
    for place, voice in itertools.chain(enumerate(voices), ((None, None),)):
        columns = together(voices) if place is None else [place]
        cells = []
        for each, order in zip(
            scored, (scale.order for scale in calibrate(scored, own.authors, voices).scales), strict=True
        ):
            mine, theirs = held_out(each.own[:, columns], each.fitting[:, columns], each.measuring[:, columns], fold)
            if place is None:
                mine = mine * order.probabilities(each.fluency[:, None])
                theirs = theirs * order.probabilities(each.strange[:, None])
            unseen = theirs[kinds == 0]
            nearest = min(metrics.auc(mine, theirs[kinds == number]) for number in np.unique(kinds[kinds > 0]))
            figures = (metrics.auc(mine, unseen), metrics.c_at_1(mine, unseen), metrics.f_05_u(mine, unseen), nearest)
            cells += [f"{figure:.3f}" for figure in figures]
        label = COMBINED if voice is None else voice.name.removesuffix(", masked")
        blind = "yes" if voice is None or voice.masked else "no"
        yield f"| {name} | {label} | {blind} | {' | '.join(cells)} |"


def main() -> None:
    """Measure every author and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verifiers", description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--only", choices=AUTHORS, action="append", help="this author; can be given more than once")
    parser.add_argument("--embed", action="store_true", help="measure the embedding model as a voice too")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    reference = packaged()
    encode = Embedder.of(Settings()).encode if chosen.embed and reference.model else None
    with tempfile.TemporaryDirectory(prefix="twin-style-") as name:
        texts = dict(documents(chosen.data, Path(name)))
    groups = {key: profile.groups(held, reference, encode) for key, held in texts.items()}
    print("| author | voice | masked | AUC 100 | c@1 | F0.5u | nearest | AUC 250 | c@1 | F0.5u | nearest |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for key in chosen.only or AUTHORS:
        own, shuffled, _ = groups[key]
        with_them, kinds = with_others(reference, {each: group[0] for each, group in groups.items() if each != key})
        start = time.process_time()
        scored = cross_score(own, shuffled, with_them, profile.voices_for(own))
        for line in rows(key, own, scored, kinds):
            print(line, flush=True)
        disorder = calibrate(scored, own.authors, profile.voices_for(own)).scales[1].order
        print(f"  {key}: {len(own.authors)} texts, {time.process_time() - start:.0f} s of CPU; in order "
              f"{np.median(disorder.probabilities(scored[1].fluency[:, None])):.2f}, in disorder "
              f"{np.median(disorder.probabilities(scored[1].disorder[:, None])):.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
