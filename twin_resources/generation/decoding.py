"""From a model's logits to text, token by token.

transformers' ``generate`` does this too, at the price of sorting the whole vocabulary for every token; what was
measured stands in docs/decisions/0008-own-token-loop.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twin_resources.generation.base import FinishReason

_COLDEST = 1e-3
"""Below this temperature the likeliest token is taken: dividing by less leaves no finite scores."""
READ_AT_ONCE = 512
"""Tokens of the prompt that are read before it is asked again whether anybody still waits; 2 s of Gemma on 2 cores."""
LIKELIEST = 256
"""Sampling looks at this many tokens; sorting all 262,144 of Gemma would take as long as a third of a step."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen.

    Args:
        repetition_penalty: divides the logits of tokens the answer already has (Keskar et al. 2019,
            arXiv:1909.05858); the prompt's own tokens go free, so that quoting costs nothing.
        no_repeat: the answer never repeats a run of this many of its own tokens; small base models loop without it.
        top_p: the share of probability that is sampled from (Holtzman et al. 2019, arXiv:1904.09751).
    """

    repetition_penalty: float = 1.15
    no_repeat: int = 8
    top_p: float = 0.95

    def choose(self, logits: Any, written: list[int], temperature: float, random: Any) -> int:
        """The next token.

        Args:
            logits: float tensor of shape (vocabulary,), changed in place.
            written: the tokens of the answer so far.
            temperature: 0 takes the likeliest token.
            random: the torch generator that sampling draws from.
        """
        import torch

        if written:
            seen = torch.tensor(sorted(set(written)), device=logits.device)
            scores = logits[seen]
            logits[seen] = torch.where(scores > 0, scores / self.repetition_penalty, scores * self.repetition_penalty)
            banned = would_repeat(written, self.no_repeat)
            if banned:
                logits[torch.tensor(banned, device=logits.device)] = -torch.inf
        if temperature < _COLDEST:
            return int(logits.argmax())
        best, order = logits.topk(min(LIKELIEST, len(logits)))
        likely = torch.softmax(best / temperature, dim=-1)
        likely[likely.cumsum(0) - likely > self.top_p] = 0
        return int(order[torch.multinomial(likely, 1, generator=random)])


@dataclass(frozen=True)
class Decoded:
    """What a decoding wrote: its number of tokens, and why it ended."""

    tokens: int
    reason: FinishReason


def decode(
    model: Any,
    tokenizer: Any,
    prompt: list[int],
    sampling: Sampling,
    *,
    ends: frozenset[int],
    room: int,
    temperature: float,
    seed: int | None,
    stop: Sequence[str],
    emit: Callable[[str], None],
    cancelled: Callable[[], bool],
) -> Decoded:
    """Write up to ``room`` tokens behind ``prompt`` and hand each piece of text to ``emit``.

    Stops at a token of ``ends``, at a text of ``stop``, or when ``cancelled`` says so.
    """
    import torch

    random = torch.Generator(device=model.device)
    random.manual_seed(seed) if seed is not None else random.seed()
    written: list[int] = []
    text, tail = Detokenizer(tokenizer), StopAt(stop)
    *parts, last = (prompt[start : start + READ_AT_ONCE] for start in range(0, len(prompt), READ_AT_ONCE))
    cache = None
    for part in parts:
        if cancelled():
            return Decoded(0, "cancelled")
        read = model(
            input_ids=torch.tensor([part], device=model.device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = read.past_key_values
    step = torch.tensor([last], device=model.device)
    reason: FinishReason = "length"
    while len(written) < room:
        if cancelled():
            reason = "cancelled"
            break
        output = model(input_ids=step, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = output.past_key_values
        token = sampling.choose(output.logits[0, -1].float(), written, temperature, random)
        if token in ends:
            reason = "stop"
            break
        written.append(token)
        emit(tail.feed(text.feed(token)))
        if tail.stopped:
            reason = "stop"
            break
        step = torch.tensor([[token]], device=model.device)
    emit(tail.feed(text.rest()))
    emit(tail.rest())
    return Decoded(len(written), reason)


def token_ids(*ids: int | Sequence[int] | None) -> frozenset[int]:
    """Every token named, whether alone, in lists or not at all."""
    found: set[int] = set()
    for each in ids:
        found.update([each] if isinstance(each, int) else each or ())
    return frozenset(found)


def would_repeat(written: Sequence[int], length: int) -> list[int]:
    """Tokens that would repeat a run of ``length`` tokens that ``written`` already has."""
    if length < 1 or len(written) < length:
        return []
    before = list(written[len(written) - length + 1 :])
    return [
        written[start + length - 1]
        for start in range(len(written) - length + 1)
        if list(written[start : start + length - 1]) == before
    ]


class Detokenizer:
    """Text of tokens one by one; holds back tokens that are only part of a character."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._tokens: list[int] = []
        self._start = 0
        self._read = 0

    def feed(self, token: int) -> str:
        self._tokens.append(token)
        return self._advance(whole=True)

    def rest(self) -> str:
        return self._advance(whole=False)

    def _advance(self, *, whole: bool) -> str:
        before = self._text(self._tokens[self._start : self._read])
        now = self._text(self._tokens[self._start :])
        if len(now) <= len(before) or (whole and now.endswith("�")):
            return ""
        self._start, self._read = self._read, len(self._tokens)
        return now[len(before) :]

    def _text(self, tokens: list[int]) -> str:
        return self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)


class StopAt:
    """Cuts a stream of text at the first stop string; holds back what may be the start of one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.stopped = False

    def feed(self, piece: str) -> str:
        if self.stopped:
            return ""
        self._held += piece
        ends = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if ends:
            self.stopped = True
            ready, self._held = self._held[: min(ends)], ""
            return ready
        keep = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        ready, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return ready

    def rest(self) -> str:
        ready, self._held = self._held, ""
        return ready


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of ``text`` that ``stop`` starts with."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
