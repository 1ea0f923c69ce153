"""Answers written side by side: each forward pass of the model gives every one of them a token.

On few cores a pass costs nearly the same for four answers as for one, since it reads the same weights. Answers join and
leave between two passes (continuous batching: Yu et al. 2022, "Orca", OSDI); shorter ones are padded on the left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twin_resources.generation.decoding import Writing

READ_AT_ONCE = 512
"""Tokens of the prompt that are read before it is asked again whether anybody still waits; 2 s of Gemma on 2 cores."""
_PADDED_WELL = {"full_attention", "sliding_attention"}
"""Kinds of layers for which padding on the left changes nothing but positions."""


def side_by_side(model: Any) -> bool:
    """Whether a model can write several answers at a time: one with recurrent layers keeps a state that padding would
    change."""
    config = model.config.get_text_config()
    return not getattr(model, "_is_stateful", False) and set(getattr(config, "layer_types", None) or ()) <= _PADDED_WELL


@dataclass
class _Row:
    """An answer in the batch: the token that the model reads next, and how many it has read."""

    writing: Writing
    token: int
    read: int


class Batch:
    """Answers over one adapter.

    Args:
        model: whose adapter stays as it is while there are any.
        most: answers at a time.
        tokens: of all of them, padding included, that the memory of attention may hold.
    """

    def __init__(self, model: Any, *, most: int = 8, tokens: int = 16_384) -> None:
        self._model = model
        self._together = side_by_side(model)
        self._most = most if self._together else 1
        self._tokens = tokens
        self._rows: list[_Row] = []
        self._cache: Any = None

    def __len__(self) -> int:
        return len(self._rows)

    def has_room(self, prompt: Sequence[int], room: int) -> bool:
        """Whether an answer of up to ``room`` tokens behind ``prompt`` may join; the first one always may."""
        if not self._rows:
            return True
        longest = max(len(prompt) + room, *(row.read + row.writing.room - row.writing.tokens for row in self._rows))
        return len(self._rows) < self._most and (len(self._rows) + 1) * longest <= self._tokens

    def add(self, writing: Writing, prompt: Sequence[int]) -> None:
        """Read a prompt, write the first token behind it, and let the answer join unless it ended with that."""
        import torch
        from transformers import DynamicCache

        cache = DynamicCache() if self._together else None
        output = None
        for start in range(0, len(prompt), READ_AT_ONCE):
            if not writing.goes_on():
                return
            part = torch.tensor([prompt[start : start + READ_AT_ONCE]], device=self._model.device)
            output = self._model(input_ids=part, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = output.past_key_values
        if output is None or not writing.goes_on():
            return
        token = writing.take(output.logits[0, -1].float())
        if token is not None:
            self._join(_Row(writing, token, len(prompt)), cache)

    def step(self) -> None:
        """Give each answer its next token; those that ended, or that nobody waits for, leave."""
        import torch

        self._keep([row.writing.goes_on() for row in self._rows])
        if not self._rows:
            return
        device, padding = self._model.device, self._padding()
        placed: dict[str, Any] = {}
        if any(padding):
            places = torch.arange(max(row.read for row in self._rows) + 1, device=device)
            placed["attention_mask"] = (places[None] >= torch.tensor(padding, device=device)[:, None]).long()
            placed["position_ids"] = torch.tensor([[row.read] for row in self._rows], device=device)
        output = self._model(
            input_ids=torch.tensor([[row.token] for row in self._rows], device=device),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
            **placed,
        )
        self._cache = output.past_key_values
        going = []
        for row, logits in zip(self._rows, output.logits[:, -1].float(), strict=True):
            token = row.writing.take(logits)
            row.read += 1
            row.token = row.token if token is None else token
            going.append(token is not None)
        self._keep(going)

    def _padding(self) -> list[int]:
        longest = max(row.read for row in self._rows)
        return [longest - row.read for row in self._rows]

    def _join(self, row: _Row, cache: Any) -> None:
        self._rows.append(row)
        if self._cache is None:
            self._cache = cache
            return
        import torch
        from torch.nn.functional import pad

        for mine, new in zip(self._cache.layers, cache.layers, strict=True):
            if not new.is_initialized:
                continue
            for name in ("keys", "values"):
                held, joined = getattr(mine, name), getattr(new, name)
                longest = max(held.shape[-2], joined.shape[-2])
                both = [pad(each, (0, 0, longest - each.shape[-2], 0)) for each in (held, joined)]
                setattr(mine, name, torch.cat(both))

    def _keep(self, going: Sequence[bool]) -> None:
        """Let those go that ended, with the padding that only they needed."""
        if all(going):
            return
        longest = max(row.read for row in self._rows)
        kept = [place for place, goes in enumerate(going) if goes]
        self._rows = [self._rows[place] for place in kept]
        if not kept:
            self._cache = None
            return
        cut = longest - max(row.read for row in self._rows)
        for layer in self._cache.layers:
            if layer.is_initialized:
                layer.keys, layer.values = layer.keys[kept, :, cut:], layer.values[kept, :, cut:]
