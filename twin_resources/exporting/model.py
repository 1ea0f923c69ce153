"""A twin as one model for other programs: the adapter merged into its base, checked against what serves."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twin_resources.exporting.export import ExportError
from twin_resources.models import causal
from twin_resources.models.fingerprint import RECORD, check_base
from twin_resources.models.parity import Divergence, distributions, divergence
from twin_resources.rag import probes, prompt

FORMATS = ("safetensors", "gguf")
MEAN, LARGEST = 0.01, 0.25
"""Nats between what serves and what was exported, on average and at one token: merged weights are rounded to the type
of the base, and differ by no more than that."""
_CONVERTERS = ("convert_hf_to_gguf.py", "convert-hf-to-gguf.py", "convert-hf-to-gguf")


@dataclass(frozen=True)
class Source:
    """What is exported: an adapter ``version`` of ``author``, its folder, and the base under name and folder.

    ``dtype`` is the one that serves, see :func:`~twin_resources.models.causal.load_model`.
    """

    version: str
    author: str
    base_name: str
    base: Path
    adapter: Path
    dtype: str


@dataclass(frozen=True)
class ExportedModel:
    """The files that were written, and how far the model in them is from what serves."""

    files: tuple[Path, ...]
    parity: Divergence


def export_model(source: Source, folder: Path, *, form: str, tell: Callable[[str], None]) -> ExportedModel:
    """Write base and adapter as one model, with tokenizer, chat template and card, and check it as it lies there.

    Merging is done in float32, and saved in the type of the base. Everything is written aside and moved at the end, so
    there is a checked model in ``folder`` or none.

    Raises:
        ExportError: no such form, the folder holds something, llama.cpp's converter is not there, or what was written
            does not say what serves.
        AnotherBase: the adapter was trained over other weights.
    """
    if form not in FORMATS:
        raise ExportError(f"no format {form!r}; formats are {', '.join(FORMATS)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(f"{folder} is not empty; name a folder that does not exist yet")
    converter = _converter() if form == "gguf" else None
    check_base(source.adapter, source.base)
    staging = folder.with_name(f"{folder.name}.writing")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        tell("merging in float32")
        merge(source, staging)
        tell("comparing with what serves")
        parity, wanted = check(source, staging)
        target = staging / f"{source.version}.gguf"
        if converter:
            _convert(converter, staging, target)
            tell("comparing the GGUF file with what serves")
            parity = check_gguf(source, staging, target, wanted)
        (staging / "README.md").write_text(_card(source, parity), encoding="utf-8")
        if converter:
            _leave_only(staging, target)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return ExportedModel(tuple(sorted(each for each in folder.iterdir() if each.is_file())), parity)


def merge(source: Source, folder: Path) -> None:
    """Save base and adapter as one model, in the type of the base, with the tokenizer and the template that serve."""
    import peft
    import torch
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(source.base, local_files_only=True)
    kept = getattr(config, "dtype", None) or torch.bfloat16
    model = peft.PeftModel.from_pretrained(causal.load_model(source.base, "float32"), str(source.adapter))
    merged: Any = model.merge_and_unload(safe_merge=True)
    merged.to(kept).save_pretrained(folder)
    tokenizer = causal.load_tokenizer(source.base)
    if not tokenizer.chat_template:
        tokenizer.chat_template = ("{{ bos_token }}" if tokenizer.bos_token else "") + prompt.PLAIN_TEMPLATE
    tokenizer.save_pretrained(folder)


def check(source: Source, folder: Path) -> tuple[Divergence, list[Any]]:
    """Compare the model in a folder with base and adapter as they serve, on the same prompts, each in its own words.

    Returns:
        How far apart they are, and the distributions of what serves.

    Raises:
        ExportError: prompts read otherwise, or next-token distributions are further apart than rounding explains.
    """
    import peft

    asked = probes.encoded(causal.load_tokenizer(source.base), source.author)
    if probes.encoded(causal.load_tokenizer(folder), source.author) != asked:
        raise ExportError(
            f"the exported tokenizer or its chat template reads the prompts of {source.version} otherwise, so the "
            "model would be asked what it was not trained on; nothing was exported"
        )
    serving = peft.PeftModel.from_pretrained(causal.load_model(source.base, source.dtype), str(source.adapter))
    wanted = distributions(serving.eval(), asked)
    del serving
    found = divergence(wanted, distributions(causal.load_model(folder, source.dtype), asked))
    return _near("the exported model", source, found), wanted


def check_gguf(source: Source, folder: Path, file: Path, wanted: Sequence[Any]) -> Divergence:
    """Compare a GGUF file, read by transformers, with what serves; its tokens and template with those of the model in
    ``folder`` that it was made of. How llama.cpp splits text into these tokens is not compared.

    Raises:
        ExportError: it cannot be read, or says something else.
    """
    from gguf import GGUFReader
    from transformers import AutoModelForCausalLM, GgufConfig

    tokenizer = causal.load_tokenizer(folder)
    asked = probes.encoded(tokenizer, source.author)
    try:
        fields = GGUFReader(file).fields
        tokens, template = (
            fields[f"tokenizer.{name}"].contents() if f"tokenizer.{name}" in fields else None
            for name in ("ggml.tokens", "chat_template")
        )
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, gguf_file=file.name, dtype="float32", quantization_config=GgufConfig(dequantize=True)
        )
    except (ValueError, KeyError, OSError, NotImplementedError) as error:
        raise ExportError(
            f"the GGUF file of {source.version} cannot be read, so it cannot be compared with what serves ({error}); "
            "nothing was exported. Export safetensors, and convert that"
        ) from error
    own = [*tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))]
    if list(tokens or ())[: len(own)] != own or template != tokenizer.chat_template:
        raise ExportError(
            f"the GGUF file of {source.version} has other tokens or another chat template than the model that it was "
            "made of; nothing was exported"
        )
    return _near("the GGUF file", source, divergence(wanted, distributions(model.eval(), asked)))


def _near(what: str, source: Source, found: Divergence) -> Divergence:
    if not found.within(MEAN, LARGEST):
        raise ExportError(
            f"{what} is not {source.version}: over {found.positions} tokens it is {found.mean:.2g} nats "
            f"from what serves, {found.largest:.2g} at most (allowed: {MEAN:g} and {LARGEST:g}); nothing was exported"
        )
    return found


def _converter() -> str:
    for name in _CONVERTERS:
        if path := shutil.which(name):
            return path
    raise ExportError(
        f"GGUF is written by llama.cpp's {_CONVERTERS[0]}, which is not on PATH; install llama.cpp and put it there, "
        "or export safetensors"
    )


def _convert(converter: str, folder: Path, target: Path) -> None:
    done = subprocess.run([converter, str(folder), "--outfile", str(target)], capture_output=True, text=True)
    if done.returncode or not target.exists():
        said = (done.stderr or done.stdout).strip().splitlines()
        raise ExportError(f"{converter} did not write a model: {said[-1] if said else 'it said nothing'}")


def _leave_only(folder: Path, target: Path) -> None:
    """Leave a GGUF file beside the card and nothing else."""
    for each in folder.iterdir():
        if each not in (target, folder / "README.md"):
            shutil.rmtree(each) if each.is_dir() else each.unlink()


def _card(source: Source, parity: Divergence) -> str:
    return "\n".join(
        (
            f"# {source.version}",
            "",
            f"Answers as {source.author}. The base {source.base_name} with a LoRA adapter merged into it in float32, "
            "saved in the type of the base. The licence of the base applies.",
            "",
            f"Compared with base and adapter over {parity.positions} tokens: {parity.mean:.2g} nats apart on average, "
            f"{parity.largest:.2g} at most (Kullback-Leibler divergence of next-token distributions).",
            "",
            f"Where it comes from stands in `{RECORD}` of the adapter.",
            "",
        )
    )
