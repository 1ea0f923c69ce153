"""Measures language models on text that no training saw, and has them write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dagster_pipes import PipesContext

from twin_assets.dataset.encode import encode_split
from twin_assets.dataset.files import read_samples
from twin_assets.dataset.samples import InstructSample
from twin_assets.evaluate import metrics
from twin_assets.evaluate.engine import engine_of
from twin_assets.evaluate.generation.documents import over_time, predicted
from twin_assets.evaluate.generation.held_out import spread, within_tokens
from twin_assets.evaluate.generation.probes import Probes
from twin_resources.config.settings import Settings
from twin_resources.database.shards import author_engine
from twin_resources.generation.base import written
from twin_resources.generation.embedded import EmbeddedGenerator
from twin_resources.models import causal
from twin_resources.models.fingerprint import check_base
from twin_resources.rag import prompt
from twin_resources.rag.echo import without_echo
from twin_resources.storage.clean_store import CleanStore

_HELD_OUT = 96
"""Held-out answers that are scored, at most: enough for a narrow interval, and minutes on a laptop."""
_SHOWN = 2
_SHOWN_TOKENS = 64


def generation(context: PipesContext, settings: Settings) -> dict[str, Any]:
    """Loss on held-out answers of the base and of each adapter, and a few answers side by side."""
    import peft

    extra = context.get_extra
    model, tokenizer = causal.load_base(Path(extra("base_folder")), settings.models.dtype)
    there = read_samples(Path(extra("dataset_folder")) / "test.parquet")
    held_out = spread(there, _HELD_OUT)
    limits = (extra("max_sample_tokens"), extra("max_answering_tokens"))
    split = encode_split(tokenizer, held_out, extra("author_name"), *limits)
    split = within_tokens(split, settings.evaluation.held_out_tokens)
    encoded, documents = split.rows, split.documents
    losses = {"base": list(causal.losses(model, encoded, tokenizer.pad_token_id))}
    probes = Probes.of(context, tokenizer, settings.evaluation.instructions)
    by_base = probes.put_to(model)
    context.log.info(
        f"base: loss {metrics.mean_loss(losses['base']):.3f} on {len(encoded)} of {len(there)} held-out answers"
    )
    adapted: Any = None
    rivals: dict[str, str] = extra("rivals")
    for version, folder in {**extra("adapters"), **rivals}.items():
        check_base(Path(folder), Path(extra("base_folder")))
        if adapted is None:
            adapted = peft.PeftModel.from_pretrained(model, folder, adapter_name=version)
        else:
            adapted.load_adapter(folder, adapter_name=version)
        adapted.set_adapter(version)
        losses[version] = list(causal.losses(adapted.eval(), encoded, tokenizer.pad_token_id))
        shown = "another author's adapter" if version in rivals else version
        context.log.info(f"{shown}: loss {metrics.mean_loss(losses[version]):.3f}")
    adapted.merge_adapter([extra("candidate")])  # the last use of these weights
    by_candidate = probes.put_to(adapted)
    context.log.info(f"the base and {extra('candidate')} were put to {probes}")
    tried = [losses.pop(version) for version in rivals]
    means = {name: round(metrics.mean_loss(values), 4) for name, values in losses.items()}
    low, high = metrics.gain_interval(losses["base"], losses[extra("candidate")], documents)
    folders, candidate = extra("adapters"), extra("candidate")
    samples, answer_tokens = len(encoded), sum(sample.answer_length for sample in encoded)
    clean = CleanStore(author_engine(settings, extra("author")))
    urls = {each.document_id: each.url for each in held_out}
    told = predicted(losses, documents, clean.entries_of(extra("author"), set(documents)), urls, candidate)
    changed = over_time(told)
    del model, adapted, encoded, split
    generator = engine_of(extra("base"), Path(extra("base_folder")), settings, {candidate: Path(folders[candidate])})
    shown = _side_by_side(context, generator, held_out)
    generator.close()
    return {
        "candidate": candidate,
        "champion": extra("champion"),
        "samples": samples,
        "available": len(there),
        "documents": len(set(documents)),
        "answer_tokens": answer_tokens,
        "loss": means,
        "perplexity": {name: metrics.perplexity(loss) for name, loss in means.items()},
        "gain": round(1 - means[extra("candidate")] / means["base"], 4) if means["base"] else 0.0,
        "gain_interval": [low, high],
        "against": extra("against"),
        "tournament": metrics.best_rival(losses[extra("candidate")], tried, documents),
        "by_document": [asdict(each) for each in told],
        "over_time": asdict(changed) if changed else None,
        **probes.figures(by_base, by_candidate, candidate),
        "shown": shown,
    }


def _side_by_side(
    context: PipesContext, generator: EmbeddedGenerator, held_out: Sequence[InstructSample]
) -> list[dict[str, str]]:
    """A few instructions with the author's own text, and what base and candidate make of them."""
    extra = context.get_extra
    chosen = [each for each in held_out if each.kind in ("section", "opening")][:_SHOWN]
    shown = [{"instruction": each.instruction, "author": each.answer[:500]} for each in chosen]
    turns = [prompt.messages(each.instruction, author=extra("author_name")) for each in chosen]
    for name, version in (("base", None), ("twin", extra("candidate"))):
        made = written(generator, turns, version=version, max_tokens=_SHOWN_TOKENS)
        for each, text in zip(shown, made, strict=True):
            each[name] = without_echo(each["instruction"], text.text)
        context.log.info(f"{name} answered {len(chosen)} instructions")
    return shown
