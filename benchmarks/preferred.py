"""What learning from preferences gained: held-out pairs under the adapter that it started from, and after it.

    python -m benchmarks.preferred paul --before paul-1a2b3c4d --after paul-5e6f7a8b

Pairs are made as ``datasets/preference`` makes them, of documents that no training saw: the author's own text is chosen
over what the base and the adapter ``--before`` answer to the same prompt. What they answer is kept in the home.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from twin_assets.dataset.files import read_samples
from twin_assets.dataset.generators import rejected
from twin_assets.dataset.generators.preference import PreferencePair
from twin_assets.dataset.generators.rejected import Speaker
from twin_assets.evaluate.answering import share
from twin_assets.train.preference import encode_pairs
from twin_resources.config.settings import Settings, load
from twin_resources.database.shards import author_engine
from twin_resources.generation.base import written
from twin_resources.generation.embedded import EmbeddedGenerator
from twin_resources.models import causal, hub
from twin_resources.rag import prompt
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.chunk_store import ChunkStore
from twin_resources.storage.datasets import Datasets
from twin_resources.storage.releases import Release, Releases
from twin_resources.storage.samples.responses import Response, Responses

_AT_ONCE = 4


def pairs_of(settings: Settings, author: str, before: Release, count: int) -> list[PreferencePair]:
    """Pairs of held-out documents, from up to ``count`` instructions; missing answers are written first."""
    engine, store = author_engine(settings, author), ArtifactStore.of(settings)
    dataset = Datasets(engine).get(before.dataset_id)
    if dataset is None:
        raise SystemExit(f"the dataset of {before.version} is no more")
    # The plan takes training samples alone.
    held_out = [replace(each, split="train") for each in read_samples(store.folder(dataset.artifact) / "test.parquet")]
    speakers = [Speaker("base", before.base), Speaker("champion", before.base, before.version)]
    name, tokens = settings.author(author).name, settings.datasets.preference.max_tokens
    planned = rejected.plan(held_out, speakers, count, author=name, max_tokens=tokens)
    responses, base = Responses(engine), hub.resolve(before.base, settings)
    kept = responses.find([each.id for each in planned])
    missing = [each for each in planned if each.id not in kept]
    if missing:
        made = EmbeddedGenerator(before.base, base, render=prompt.render, stop=prompt.STOP, dtype=settings.models.dtype)
        made.load(before.version, store.folder(before.artifact))
        for speaker in speakers:
            mine = [each for each in missing if each.speaker == speaker]
            for first in range(0, len(mine), _AT_ONCE):
                asked = mine[first : first + _AT_ONCE]
                turns = [prompt.messages(each.sample.instruction, author=name) for each in asked]
                said = written(made, turns, version=speaker.version, max_tokens=tokens)
                for each, text in zip(asked, said, strict=True):
                    answer = Response(text.text, text.prompt_tokens, text.completion_tokens)
                    responses.keep(each.id, each.sample.document_id, answer)
                print(f"{speaker.name} answered {first + len(asked)} of {len(mine)}", flush=True)
        made.close()
        kept = responses.find([each.id for each in planned])
    sources = ChunkStore(engine).texts({each.sample.chunk_ids[0] for each in planned}, author)
    dropped: Counter[str] = Counter()
    found = rejected.pairs(planned, {key: each.content for key, each in kept.items()}, sources, dropped)
    print(f"{len(found)} pairs of {len(planned)} instructions; left out: {dict(dropped)}", flush=True)
    return found


def margins(settings: Settings, adapter: Release, pairs: Sequence[PreferencePair], name: str) -> tuple[Any, Any]:
    """How many nats likelier each chosen answer is than the rejected one, whole and a token; shapes (pairs)."""
    import peft
    import torch

    model, tokenizer = causal.load_base(hub.resolve(adapter.base, settings), settings.models.dtype)
    folder = ArtifactStore.of(settings).folder(adapter.artifact)
    adapted = peft.PeftModel.from_pretrained(model, folder).eval()
    whole, each_token = [], []
    with torch.inference_mode():
        for pair in pairs:
            split = encode_pairs(tokenizer, [pair], name, settings.training.max_answering_tokens)
            (encoded,) = (*split.train, *split.validation)
            two = [encoded.chosen, encoded.rejected]
            batch = causal.collate(two, tokenizer.pad_token_id)
            chosen, other = (float(value) for value in causal.answer_log_probabilities(adapted, batch))
            whole.append(chosen - other)
            each_token.append(chosen / two[0].answer_length - other / two[1].answer_length)
    return np.array(whole), np.array(each_token)


def main() -> None:
    """Print the figures of two adapters on the same pairs."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.preferred", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("author")
    parser.add_argument("--before", required=True, help="version of the adapter that preferences started from")
    parser.add_argument("--after", required=True, help="version that learned from preferences")
    parser.add_argument("--instructions", type=int, default=40, help="of held-out documents, at most")
    chosen = parser.parse_args()
    settings = load()
    releases = Releases(author_engine(settings, chosen.author))
    before, after = releases.get(chosen.before), releases.get(chosen.after)
    pairs = pairs_of(settings, chosen.author, before, chosen.instructions)
    name, beta = settings.author(chosen.author).name, settings.training.dpo.beta
    old, old_token = margins(settings, before, pairs, name)
    new, new_token = margins(settings, after, pairs, name)
    print(
        f"\n| {len(pairs)} held-out pairs of {len({each.document_id for each in pairs})} documents | before | after |"
    )
    print("|---|---|---|")
    for what, one, other in (("likelier as a whole", old, new), ("likelier a token", old_token, new_token)):
        print(f"| the author's text is {what} | {_share(one > 0)} | {_share(other > 0)} |")
    print(f"| nats between the two, mean | {old.mean():.2f} | {new.mean():.2f} |")
    gained = new - old
    print(f"| the author's text gained on the other | | {_share(gained > 0)} |")
    print(f"| loss of preferences, {np.log(2):.4f} at the start | | {np.log1p(np.exp(-beta * gained)).mean():.4f} |")


def _share(outcomes: Any) -> str:
    found = share([bool(each) for each in outcomes])
    return f"{found['share']:.0%} ({found['low']:.0%} to {found['high']:.0%})"


if __name__ == "__main__":
    main()
