"""The generation report's job on tiny models, without a graph around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twin_assets.dataset.files import write_instruct
from twin_assets.dataset.samples import InstructDataset, InstructSample
from twin_assets.evaluate import job
from twin_resources.config.settings import Settings


def generation(
    settings: Settings, folder: Path, samples: Sequence[InstructSample], base: Path, adapters: Mapping[str, Path]
) -> dict[str, Any]:
    """Figures of the adapters on samples of Ada's; the first adapter is the candidate, the second one the champion.

    Args:
        folder: where the samples are written to.
    """
    write_instruct(folder, InstructDataset("ada", list(samples)))
    candidate, champion = [*adapters, None][:2]
    extras = {
        "author": "ada", "author_name": "Ada Berg", "base": "tiny", "base_folder": str(base),
        "dataset_folder": str(folder), "adapters": {version: str(each) for version, each in adapters.items()},
        "candidate": candidate, "champion": champion, "rivals": {}, "against": "", "max_sample_tokens": 512,
        "max_answering_tokens": 512,
    }  # fmt: skip
    context: Any = SimpleNamespace(get_extra=extras.__getitem__, log=SimpleNamespace(info=lambda _: None))
    return job.generation(context, settings)
