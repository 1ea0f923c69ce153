"""Who answers against the author: the models whose answers become the rejected ones of preference pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from twin_assets.dataset import files
from twin_assets.dataset.generators import rejected
from twin_assets.dataset.generators.preference import PreferencePair
from twin_assets.dataset.generators.rejected import Speaker
from twin_resources.models import hub
from twin_resources.runtime.resources import Twin
from twin_resources.storage.releases import Release


@dataclass(frozen=True)
class Rivalry:
    """Pairs of the author's text with answers of models, what was left out, and what there is to ``say`` of it."""

    pairs: list[PreferencePair] = field(default_factory=list)
    asked: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    says: str = ""


def made(twin: Twin, author_id: str, launch: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Rivalry:
    """Have the configured models answer instructions of the newest instruct dataset, as far as that was not done yet.

    Args:
        launch: runs the job that answers, with its extras; called only where an answer is missing.
    """
    settings, rules = twin.settings, twin.settings.datasets.preference
    dataset = twin.training_dataset(author_id)
    if not rules.pairs or dataset is None or not twin.artifacts.exists(dataset.artifact):
        return Rivalry(says="" if not rules.pairs else "there is no instruct dataset to take prompts from")
    try:
        base_folder = hub.resolve(settings.models.base, settings)
    except hub.ModelNotFound as error:
        return Rivalry(says=f"no model answers, so only readers' pairs are here: {error}")
    rivals = {origin: _rival(twin, author_id, origin) for origin in rules.rejected if origin != "base"}
    found = {each.version: each for each in rivals.values() if each}
    speakers = [
        Speaker(origin, settings.models.base, rival.version if rival else None)
        for origin in rules.rejected
        if (rival := rivals.get(origin)) or origin == "base"
    ]
    missing = [origin for origin in rules.rejected if origin != "base" and not rivals[origin]]
    folder = twin.artifacts.folder(dataset.artifact)
    author = settings.author(author_id).name
    planned = rejected.plan(
        files.read_samples(folder / "train.parquet"),
        speakers,
        rules.pairs,
        author=author,
        max_tokens=rules.max_tokens,
    )
    ids = [each.id for each in planned]
    kept = twin.responses.find(ids)
    if len(kept) < len(planned):
        launch(
            {
                "config": str(settings.config),
                "author": author_id,
                "author_name": author,
                "dataset_folder": str(folder),
                "base": settings.models.base,
                "base_folder": str(base_folder),
                "speakers": [asdict(each) for each in speakers],
                "adapters": {key: str(twin.artifacts.folder(each.artifact)) for key, each in found.items()},
                "pairs": rules.pairs,
                "max_tokens": rules.max_tokens,
            }
        )
        kept = twin.responses.find(ids)
    sources = twin.warehouse.chunks.texts({each.sample.chunk_ids[0] for each in planned}, author_id)
    dropped: Counter[str] = Counter()
    answers = {key: each.content for key, each in kept.items()}
    pairs = rejected.pairs(planned, answers, sources, dropped)
    says = f"there is no adapter for: {', '.join(missing)}" if missing else ""
    return Rivalry(pairs, len(planned), dropped, says)


def _rival(twin: Twin, author_id: str, origin: str) -> Release | None:
    """The champion of the author, or of another one over the same base; None where there is none."""
    fit = [
        each
        for each in twin.releases.list()
        if "champion" in each.aliases
        and each.base == twin.settings.models.base
        and not each.retired_because
        and (each.author == author_id) == (origin == "champion")
        and twin.artifacts.exists(each.artifact)
    ]
    return min(fit, key=lambda each: each.author, default=None)
