"""Has models answer the instructions of samples, in a process of its own; each answer is kept as it comes."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path
from typing import Any

from dagster_pipes import PipesContext, open_dagster_pipes

from twin_assets.dataset.files import read_samples
from twin_assets.dataset.generators import rejected
from twin_assets.dataset.generators.rejected import Speaker
from twin_resources.config.settings import load
from twin_resources.database.shards import author_engine
from twin_resources.generation.embedded import EmbeddedGenerator
from twin_resources.rag import prompt
from twin_resources.runtime.processes import end_with_parent
from twin_resources.storage.samples.responses import Response, Responses

_STEPS = 10


def answer(context: PipesContext) -> dict[str, Any]:
    """Answer what was planned and is not kept yet, greedily, so that the same model says the same again."""
    extra = context.get_extra
    settings = load(extra("config"))
    speakers = [Speaker(**each) for each in extra("speakers")]
    planned = rejected.plan(
        read_samples(Path(extra("dataset_folder")) / "train.parquet"),
        speakers,
        extra("pairs"),
        author=extra("author_name"),
        max_tokens=extra("max_tokens"),
    )
    responses = Responses(author_engine(settings, extra("author")))
    kept = responses.find([each.id for each in planned])
    missing = [each for each in planned if each.id not in kept]
    made = EmbeddedGenerator(
        extra("base"), Path(extra("base_folder")), render=prompt.render, stop=prompt.STOP, dtype=settings.models.dtype
    )
    for version, folder in extra("adapters").items():
        made.load(version, Path(folder))
    tokens = 0
    for done, each in enumerate(missing, 1):
        turns = prompt.messages(each.sample.instruction, author=extra("author_name"))
        stream = made.stream(turns, version=each.speaker.version, max_tokens=extra("max_tokens"), temperature=0, seed=0)
        said = stream.finish()
        tokens += said.completion_tokens
        response = Response(said.text, said.prompt_tokens, said.completion_tokens)
        responses.keep(each.id, each.sample.document_id, response)
        if done % max(1, len(missing) // _STEPS) == 0 or done == len(missing):
            context.log.info(f"answered {done} of {len(missing)} instructions, {tokens} tokens written")
    made.close()
    return {"answered": len(missing), "tokens": tokens}


if __name__ == "__main__":
    end_with_parent()
    warnings.simplefilter("ignore")
    logging.getLogger().setLevel(logging.ERROR)
    with open_dagster_pipes() as pipes:
        pipes.report_custom_message(answer(pipes))
    sys.exit(0)
