"""Loading a causal language model and its loss on answers: what training and evaluation share.

Imports torch only inside functions, so that the asset graph can name this module without loading it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from twin_resources.errors import TwinError
from twin_resources.models import sharding
from twin_resources.models.loading import import_transformers
from twin_resources.models.precision import resolved

IGNORED = -100
"""Label of tokens that carry no loss."""
_ROUNDING = 0.01
"""Share of the largest logit by which equal logits may differ, in 16 bits and with experts in another order."""
BREAK = "\u200b"
"""Zero-width space."""
Side = Literal["left", "right"]
_READ = ("input_ids", "attention_mask", "position_ids", "packed_seq_lengths")
"""What a model is given of a batch."""


@dataclass(frozen=True)
class Encoded:
    """Token ids of one prompt with its answer; the first ``prompt_length`` of them carry no loss."""

    ids: tuple[int, ...]
    prompt_length: int

    @property
    def answer_length(self) -> int:
        """Tokens that carry loss."""
        return len(self.ids) - self.prompt_length


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in a folder, with a padding token."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


class NoQuantization(TwinError):
    """A base cannot be kept in 4 bits here."""


def load_model(folder: Path, dtype: str = "auto", quantization: str | None = None, shards: int = 1) -> Any:
    """The causal model in a folder, on the GPU where there is one.

    Args:
        dtype: a torch name, or ``auto``, see :func:`~twin_resources.models.precision.resolved`.
        quantization: ``nf4`` for 4 bits a weight of the linear layers.
        shards: of so many, with each process its own, see :func:`~twin_resources.models.sharding.load`.

    Raises:
        NoQuantization: ``nf4``, and bitsandbytes is not installed.
    """
    import_transformers()
    import torch
    from transformers import AutoModelForCausalLM

    chosen = getattr(torch, resolved(dtype))
    if shards > 1:
        return sharding.load(folder, chosen, shards).eval()
    options: dict[str, Any] = {"dtype": chosen, "local_files_only": True, "trust_remote_code": False}
    if quantization:
        place = torch.cuda.current_device() if torch.cuda.is_available() else "cpu"
        options |= {"quantization_config": four_bits(chosen), "device_map": {"": place}}
        quantised: Any = AutoModelForCausalLM.from_pretrained(folder, **options)
        return _trainable(quantised).eval()
    model: Any = AutoModelForCausalLM.from_pretrained(folder, **options)
    return model.to(_device()).eval()


def four_bits(compute: Any) -> Any:
    """How a base is kept while a QLoRA adapter is trained over it (Dettmers et al. 2023, arXiv:2305.14314): NF4 with
    quantised constants, 4.127 bits a weight; products are computed in the torch type ``compute``."""
    from transformers import BitsAndBytesConfig

    if importlib.util.find_spec("bitsandbytes") is None:
        raise NoQuantization(
            "training.quantization is nf4, and bitsandbytes is not installed",
            "`pip install 'llm-twin[qlora]'`, or set training.quantization to null in twin.yaml",
        )
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
    )


def _trainable(quantised: Any) -> Any:
    """Keep the weights as they lie. On a CPU with AVX512-BF16 bitsandbytes packs them anew at the first look at
    validation samples, for a product through which no gradient passes; training would go on with wrong ones."""
    for module in quantised.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return quantised


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def load_base(folder: Path, dtype: str = "auto") -> tuple[Any, Any]:
    """The model and the tokenizer in a folder; see :func:`load_model` and :func:`load_tokenizer`."""
    return load_model(folder, dtype), load_tokenizer(folder)


def encode(
    tokenizer: Any, prompt: str, answer: str, max_tokens: int, *, whole: bool = False, ends: bool = True
) -> Encoded | None:
    """Tokens of a rendered prompt and its answer, which ends with the end-of-sequence token where it ``ends``.

    A prompt is never cut: without its head the model would learn from turns that serving never shows it. An answer over
    ``max_tokens`` loses its end (and with that the end-of-sequence token, because the answer does not end there), down
    to half of the room. Returns None where the prompt leaves less than that, or where the answer has to be ``whole``
    and is not.
    """
    question = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    reply = [*text_ids(tokenizer, answer), *([tokenizer.eos_token_id] if ends else [])]
    least = len(reply) if whole else min(len(reply), max_tokens - max_tokens // 2)
    if len(question) + least > max_tokens:
        return None
    reply = reply[: max_tokens - len(question)]
    return Encoded(tuple(question + reply), len(question))


def text_ids(tokenizer: Any, text: str) -> list[int]:
    """Tokens of ``text`` as text: what looks like a control token is spelled out, so it ends no turn."""
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    control = control_tokens(tokenizer)
    if control and not set(control.values()).isdisjoint(ids):
        ids = tokenizer(as_text(tokenizer, text), add_special_tokens=False)["input_ids"]
    return list(ids)


def as_text(tokenizer: Any, text: str) -> str:
    """``text`` with a break of no width inside everything that the tokenizer would read as a control token."""
    for token in control_tokens(tokenizer):
        if token in text:
            text = text.replace(token, f"{token[0]}{BREAK}{token[1:]}")
    return text


def control_tokens(tokenizer: Any) -> dict[str, int]:
    """The tokens of a tokenizer that steer a model, with their ids, the longest first: special ones, and marks of its
    chat template. Tokens that merely stand for a frequent piece of text are none."""
    added = getattr(tokenizer, "added_tokens_decoder", None)
    return _control_tokens(tokenizer) if added else {}


@functools.lru_cache(maxsize=8)
def _control_tokens(tokenizer: Any) -> dict[str, int]:
    template = str(getattr(tokenizer, "chat_template", None) or "")
    found = {
        token.content: key
        for key, token in tokenizer.added_tokens_decoder.items()
        if len(token.content) > 1
        and (token.special or (token.content.startswith(("<", "[")) and token.content in template))
    }
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def collate(
    batch: Sequence[Encoded], pad_id: int, *, packed: bool = False, side: Side = "left", marked: bool = False
) -> dict[str, Any]:
    """Tensors of a batch, padded on the left so that all answers end together; shape (batch, longest).

    Args:
        packed: one row instead, the samples behind one another, shape (1, sum of lengths). Positions start again with
            each sample, and without a mask that is how a model tells that they do not see one another.
        side: of the padding; on the right, no token stands behind it that could see it without a mask.
        marked: the lengths of packed samples are given too, shape (samples).
    """
    import torch

    if packed:
        rows = _packed(batch)
        if marked:
            rows["packed_seq_lengths"] = torch.tensor([len(sample.ids) for sample in batch], dtype=torch.int32)
        return rows
    longest = max(len(sample.ids) for sample in batch)
    ids = torch.full((len(batch), longest), pad_id, dtype=torch.long)
    mask = torch.zeros((len(batch), longest), dtype=torch.long)
    labels = torch.full((len(batch), longest), IGNORED, dtype=torch.long)
    for row, sample in enumerate(batch):
        start = longest - len(sample.ids) if side == "left" else 0
        end = start + len(sample.ids)
        ids[row, start:end] = torch.tensor(sample.ids)
        mask[row, start:end] = 1
        labels[row, start + sample.prompt_length : end] = torch.tensor(sample.ids[sample.prompt_length :])
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    return {"input_ids": ids, "attention_mask": mask, "position_ids": positions, "labels": labels}


def _packed(batch: Sequence[Encoded]) -> dict[str, Any]:
    import torch

    labels = [[IGNORED] * sample.prompt_length + list(sample.ids[sample.prompt_length :]) for sample in batch]
    return {
        "input_ids": torch.tensor([[token for sample in batch for token in sample.ids]]),
        "position_ids": torch.tensor([[place for sample in batch for place in range(len(sample.ids))]]),
        "labels": torch.tensor([[label for each in labels for label in each]]),
    }


def keeps_samples_apart(model: Any, batch: Sequence[Encoded], *, marked: bool = False) -> bool:
    """Whether the last sample of a packed batch reads the same whatever stands before it.

    Families differ in whether they take starting positions for a border, or need it ``marked``. The first samples are
    put in reverse; the last one's logits then differ by rounding alone, or they depended on them.
    """
    import torch

    if len(batch) < 2:
        return True
    *others, last = batch
    turned = [Encoded(each.ids[::-1], each.prompt_length) for each in others]
    read = []
    with torch.no_grad():  # a training follows, and it cannot use what a sharded base put together in inference mode
        for before in (others, turned):
            inputs = collate([*before, last], 0, packed=True, marked=marked)
            inputs = {name: inputs[name].to(model.device) for name in _READ if name in inputs}
            read.append(model(**inputs, use_cache=False).logits[0, -len(last.ids) :].float())
    first, second = read
    return bool((first - second).abs().max() <= _ROUNDING * first.abs().max())


def answer_loss(model: Any, batch: Mapping[str, Any]) -> tuple[Any, Any]:
    """Summed cross-entropy of the answer tokens (scalar tensor) and their number.

    The output layer runs only over the positions whose next token belongs to an answer: with a vocabulary of 262,144
    that layer is most of the work.
    """
    import torch

    logits, counted = _answer_logits(model, batch)
    targets = batch["labels"][:, 1:][counted]
    return torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum"), counted.sum()


def answer_log_probabilities(model: Any, batch: Mapping[str, Any]) -> Any:
    """Log-probability of each whole answer given its prompt, in nats; shape (batch)."""
    import torch

    logits, counted = _answer_logits(model, batch)
    targets = batch["labels"][:, 1:][counted]
    each = -torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")
    rows = counted.nonzero()[:, 0]
    return torch.zeros(len(counted), device=each.device).index_add(0, rows, each)


def _answer_logits(model: Any, batch: Mapping[str, Any]) -> tuple[Any, Any]:
    """Logits at the positions whose next token belongs to an answer, and which of (batch, longest - 1) these are."""
    labels = batch["labels"]
    inputs = {name: batch[name] for name in _READ if name in batch}
    counted = labels[:, 1:] != IGNORED
    causal = _plain_head(model)
    if causal is not None:
        hidden = causal.get_decoder()(**inputs, use_cache=False).last_hidden_state
        logits = causal.get_output_embeddings()(hidden[:, :-1][counted])
    else:
        first = int(counted.any(dim=0).nonzero()[0])
        keep = labels.shape[1] - first
        logits = model(**inputs, logits_to_keep=keep, use_cache=False).logits[:, :-1][counted[:, first:]]
    return logits, counted


def _plain_head(model: Any) -> Any:
    """The causal model whose logits are its output layer over its decoder, or None where there is more to it.

    Taking the positions before the output layer makes one matrix product of it instead of one a sample, which trains
    twice as fast on a CPU. Models that scale or cap their logits, wrapped and sharded ones, which put their weights
    together when they are called, go through their own forward. So do those whose decoder is a library's own: Unsloth's
    gets its causal mask from the model around it, and without one it sees what follows.
    """
    from peft import PeftModel
    from transformers import PreTrainedModel

    causal = model.get_base_model() if isinstance(model, PeftModel) else model
    if not isinstance(causal, PreTrainedModel) or causal.get_output_embeddings() is None or sharding.is_sharded(causal):
        return None
    scaled = ("final_logit_softcapping", "logit_scale", "logits_scaling", "logits_scale")
    if any(getattr(causal.config, name, None) not in (None, 1, 1.0) for name in scaled):
        return None
    ours = type(causal.get_decoder()).forward.__module__.startswith("transformers.")
    return causal if ours else None


def continued(
    model: Any, prompts: Sequence[Sequence[int]], max_tokens: int, pad_id: int, end_id: int
) -> list[list[int]]:
    """What a model goes on with after each of some token ids, side by side, always by taking the likeliest token.

    Returns:
        up to ``max_tokens`` new tokens of each, and none from its first end-of-sequence token on.
    """
    import torch
    from transformers import GenerationConfig

    batch = collate([Encoded(tuple(ids), len(ids)) for ids in prompts], pad_id)
    given = {name: batch[name].to(model.device) for name in ("input_ids", "attention_mask")}
    greedy = GenerationConfig(max_new_tokens=max_tokens, do_sample=False, pad_token_id=pad_id, eos_token_id=end_id)
    with torch.no_grad(), _whole_rows(model):  # a training may go on after it, see keeps_samples_apart
        written = model.generate(**given, generation_config=greedy)[:, given["input_ids"].shape[1] :].tolist()
    return [ids[: ids.index(end_id)] if end_id in ids else ids for ids in written]


@contextlib.contextmanager
def _whole_rows(model: Any) -> Iterator[None]:
    """Meanwhile the output layer is given tensors of their own.

    Of the last position of longer rows, whose strides are those of the rows, torch would copy its weights once for each
    row: twelve seconds for eight where the vocabulary has 262,144 tokens.
    """
    import torch

    head = model.get_output_embeddings()
    if head is None:
        yield
        return

    def packed(_: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return given[0].clone(memory_format=torch.contiguous_format), *given[1:]

    hook = head.register_forward_pre_hook(packed)
    try:
        yield
    finally:
        hook.remove()


def losses(model: Any, samples: Sequence[Encoded], pad_id: int, *, at_once: int = 1) -> Iterator[tuple[float, int]]:
    """(summed loss, answer tokens) of each sample, in order, without gradients.

    Args:
        at_once: samples that are read side by side, which is faster where they are short and of like length.
    """
    import torch

    with torch.inference_mode():
        for start in range(0, len(samples), at_once):
            turn = samples[start : start + at_once]
            batch = {name: tensor.to(model.device) for name, tensor in collate(turn, pad_id).items()}
            if at_once == 1:
                loss, tokens = answer_loss(model, batch)
                yield float(loss), int(tokens)
                continue
            likely = answer_log_probabilities(model, batch).tolist()
            yield from ((-value, each.answer_length) for value, each in zip(likely, turn, strict=True))
