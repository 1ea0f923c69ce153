"""Loading a causal language model and its loss on answers: what training and evaluation share.

Imports torch only inside functions, so that the asset graph can name this module without loading it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IGNORED = -100
"""Label of tokens that carry no loss."""


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

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(folder: Path, dtype: str = "auto") -> Any:
    """The causal model in a folder, on the GPU where there is one.

    Args:
        dtype: a torch name, or ``auto`` for bfloat16, which is also the fastest on the CPUs we measured.
    """
    import torch
    from transformers import AutoModelForCausalLM

    chosen = torch.bfloat16 if dtype == "auto" else getattr(torch, dtype)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=chosen, local_files_only=True)
    return (model.to("cuda") if torch.cuda.is_available() else model).eval()


def load_base(folder: Path, dtype: str = "auto") -> tuple[Any, Any]:
    """The model and the tokenizer in a folder; see :func:`load_model` and :func:`load_tokenizer`."""
    return load_model(folder, dtype), load_tokenizer(folder)


def encode(tokenizer: Any, prompt: str, answer: str, max_tokens: int) -> Encoded:
    """Tokens of a rendered prompt and its answer, which ends with the end-of-sequence token.

    A sample over ``max_tokens`` loses the start of its prompt first, down to half of the room, then the end of its
    answer (and with that the end-of-sequence token, because the answer does not end there).
    """
    question = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    reply = [*tokenizer(answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    room = max(max_tokens - len(reply), max_tokens // 2)
    question = question[-room:]
    reply = reply[: max_tokens - len(question)]
    return Encoded(tuple(question + reply), len(question))


def collate(batch: Sequence[Encoded], pad_id: int) -> dict[str, Any]:
    """Tensors of a batch, padded on the left so that all answers end together; shape (batch, longest)."""
    import torch

    longest = max(len(sample.ids) for sample in batch)
    ids = torch.full((len(batch), longest), pad_id, dtype=torch.long)
    mask = torch.zeros((len(batch), longest), dtype=torch.long)
    labels = torch.full((len(batch), longest), IGNORED, dtype=torch.long)
    for row, sample in enumerate(batch):
        start = longest - len(sample.ids)
        ids[row, start:] = torch.tensor(sample.ids)
        mask[row, start:] = 1
        labels[row, start + sample.prompt_length :] = torch.tensor(sample.ids[sample.prompt_length :])
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    return {"input_ids": ids, "attention_mask": mask, "position_ids": positions, "labels": labels}


def answer_loss(model: Any, batch: Mapping[str, Any]) -> tuple[Any, Any]:
    """Summed cross-entropy of the answer tokens (scalar tensor) and their number.

    The output layer runs only over the positions whose next token belongs to an answer: with a vocabulary of 262,144
    that layer is most of the work.
    """
    import torch

    labels = batch["labels"]
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "position_ids")}
    counted = labels[:, 1:] != IGNORED
    targets = labels[:, 1:][counted]
    causal = _plain_head(model)
    if causal is not None:
        hidden = causal.get_decoder()(**inputs, use_cache=False).last_hidden_state
        logits = causal.get_output_embeddings()(hidden[:, :-1][counted])
    else:
        first = int(counted.any(dim=0).nonzero()[0])
        keep = labels.shape[1] - first
        logits = model(**inputs, logits_to_keep=keep, use_cache=False).logits[:, :-1][counted[:, first:]]
    return torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum"), counted.sum()


def _plain_head(model: Any) -> Any:
    """The causal model whose logits are its output layer over its decoder, or None where there is more to it.

    Taking the positions before the output layer makes one matrix product of it instead of one a sample, which trains
    twice as fast on a CPU. Models that scale or cap their logits, and wrapped ones, go through their own forward.
    """
    from peft import PeftModel
    from transformers import PreTrainedModel

    causal = model.get_base_model() if isinstance(model, PeftModel) else model
    if not isinstance(causal, PreTrainedModel) or causal.get_output_embeddings() is None:
        return None
    scaled = ("final_logit_softcapping", "logit_scale", "logits_scaling", "logits_scale")
    if any(getattr(causal.config, name, None) not in (None, 1, 1.0) for name in scaled):
        return None
    return causal


def losses(model: Any, samples: Sequence[Encoded], pad_id: int) -> Iterator[tuple[float, int]]:
    """(summed loss, answer tokens) of each sample, in order, without gradients."""
    import torch

    with torch.inference_mode():
        for sample in samples:
            batch = {name: tensor.to(model.device) for name, tensor in collate([sample], pad_id).items()}
            loss, tokens = answer_loss(model, batch)
            yield float(loss), int(tokens)
