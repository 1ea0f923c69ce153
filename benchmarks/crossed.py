"""Adapters crossed: the base and each adapter on the held-out answers of every author.

    python -m benchmarks.crossed paul maxime                         # their champions, in the home of TWIN_HOME
    python -m benchmarks.crossed paul --version paul-1a2b3c4d --version paul-5e6f7a8b

An adapter that learned a person predicts that person better than an adapter of somebody else does. Answers are those of
the test splits, which no training saw, in the prompts that serve; without ``--tokens`` all of them. Intervals are over
documents, as in the reports.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from twin_assets.dataset.encode import EncodedSplit, encode_samples
from twin_assets.dataset.files import read_samples
from twin_assets.evaluate.generation.held_out import spread, within_tokens
from twin_assets.evaluate.metrics import gain_interval, mean_loss
from twin_resources.config.settings import Settings, load
from twin_resources.database.shards import author_engine
from twin_resources.models import causal, hub
from twin_resources.models.causal import Encoded
from twin_resources.models.fingerprint import check_base
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.datasets import Datasets
from twin_resources.storage.releases import Release, Releases

BASE = "base"
Losses = Sequence[tuple[float, int]]
"""(Summed loss in nats, tokens) of each answer."""


@dataclass(frozen=True)
class HeldOut:
    """Answers of an author that no training saw: of each the document, and whether its prompt shows passages."""

    rows: Sequence[Encoded]
    documents: Sequence[str]
    answering: Sequence[bool]

    @classmethod
    def of(cls, settings: Settings, tokenizer: Any, author: str, tokens: int | None) -> HeldOut:
        """The test split of the newest instruct dataset, within ``tokens`` as in a report.

        Raises:
            SystemExit: the author has no dataset.
        """
        dataset = Datasets(author_engine(settings, author)).newest(author, "instruct")
        if dataset is None:
            raise SystemExit(f"{author} has no instruct dataset in {settings.home}; `twin run` makes one")
        there = read_samples(ArtifactStore.of(settings).folder(dataset.artifact) / "test.parquet")
        training, name = settings.training, settings.author(author).name
        limits = training.max_sample_tokens, training.max_answering_tokens
        split, shown = EncodedSplit(), {}
        for sample, row in encode_samples(tokenizer, spread(there, len(there)), name, *limits):
            if row is not None:
                split.rows.append(row)
                split.documents.append(sample.document_id)
                shown[id(row)] = bool(sample.passages)
        kept = within_tokens(split, tokens)
        return cls(kept.rows, kept.documents, [shown[id(row)] for row in kept.rows])


def table(author: str, found: HeldOut, losses: Mapping[str, Losses], authors: Mapping[str, str]) -> str:
    """Loss a token of each model on an author's answers, as Markdown, and how each compares with the others.

    Args:
        losses: by ``base`` and version.
        authors: whose each version is.
    """
    lines = [
        f"{author}: {len(found.rows)} answers, {sum(tokens for _, tokens in losses[BASE])} tokens, of "
        f"{len(set(found.documents))} documents",
        "",
        "| model | loss | own text | from passages | below the base, 95% interval | documents below the base |",
        "|---|---|---|---|---|---|",
    ]
    for name, mine in losses.items():
        parts = [_among(mine, [shown is kind for shown in found.answering]) for kind in (False, True)]
        compared = ["", ""] if name == BASE else _compared(losses[BASE], mine, found.documents)
        whole = f"{mean_loss(mine):.4f}"
        lines.append(f"| {' | '.join([name, whole, *parts, *compared])} |")
    versions = sorted((name for name in losses if name != BASE), key=lambda name: authors[name] != author)
    for one, other in combinations(versions, 2):
        by, wins = _compared(losses[other], losses[one], found.documents)
        lines.append(f"\n{one} below {other}: {by}; on {wins} documents")
    return "\n".join(lines)


def _among(losses: Losses, chosen: Sequence[bool]) -> str:
    kept = [loss for loss, is_one in zip(losses, chosen, strict=True) if is_one]
    return f"{mean_loss(kept):.4f} ({len(kept)})" if kept else ""


def _compared(before: Losses, after: Losses, documents: Sequence[str]) -> list[str]:
    """By how much the loss falls, with its interval, and on how many documents."""
    low, high = gain_interval(before, after, documents)
    sums: dict[str, float] = defaultdict(float)
    for (old, _), (new, _), document in zip(before, after, documents, strict=True):
        sums[document] += old - new
    below = sum(each > 0 for each in sums.values())
    gain = 1 - mean_loss(after) / mean_loss(before)
    return [f"{gain:.2%}, {low:.2%} to {high:.2%}", f"{below} of {len(sums)}"]


def measure(settings: Settings, adapters: Sequence[Release], authors: Sequence[str], tokens: int | None) -> None:
    """Print a table for each author."""
    import peft

    folder, store = hub.resolve(settings.models.base, settings), ArtifactStore.of(settings)
    model, tokenizer = causal.load_base(folder, settings.models.dtype)
    asked = {author: HeldOut.of(settings, tokenizer, author, tokens) for author in authors}
    losses: dict[str, dict[str, Losses]] = {author: {} for author in authors}
    adapted: Any = None
    for name in (BASE, *(each.version for each in adapters)):
        if name != BASE:
            mine = store.folder(next(each.artifact for each in adapters if each.version == name))
            check_base(mine, folder)
            if adapted is None:
                adapted = peft.PeftModel.from_pretrained(model, mine, adapter_name=name)
            else:
                adapted.load_adapter(mine, adapter_name=name)
            adapted.set_adapter(name)
        asking = model if adapted is None else adapted.eval()
        for author, found in asked.items():
            losses[author][name] = list(causal.losses(asking, found.rows, tokenizer.pad_token_id))
            print(f"{name} on {author}: {mean_loss(losses[author][name]):.4f}", flush=True)
    owners = {each.version: each.author for each in adapters}
    for author, found in asked.items():
        print(f"\n{table(author, found, losses[author], owners)}", flush=True)


def main() -> None:
    """Measure the champions of the authors that are named, or the versions."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.crossed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("authors", nargs="+")
    parser.add_argument("--version", action="append", default=[], help="adapters, instead of the champions")
    parser.add_argument("--tokens", type=int, help="of prompts and answers of each author")
    chosen = parser.parse_args()
    settings = load()
    releases = Releases(author_engine(settings))
    champions = (releases.alias(author, "champion") for author in chosen.authors)
    adapters = [releases.get(each) for each in chosen.version] or [each for each in champions if each]
    if not adapters:
        raise SystemExit("there is no champion; name versions that `twin candidates` lists")
    measure(settings, adapters, chosen.authors, chosen.tokens)


if __name__ == "__main__":
    main()
