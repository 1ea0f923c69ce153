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


class Writing:
    """One answer while it is written: chooses its tokens and hands out their text.

    ``reason`` is None until it ends: at a token of ``ends``, at a text of ``stop``, after ``room`` tokens, or when
    ``cancelled`` says so.

    Args:
        emit: takes each piece of text.
        device: where the logits are.
    """

    def __init__(
        self,
        tokenizer: Any,
        sampling: Sampling,
        *,
        ends: frozenset[int],
        room: int,
        temperature: float,
        seed: int | None,
        stop: Sequence[str],
        emit: Callable[[str], None],
        cancelled: Callable[[], bool],
        device: Any,
    ) -> None:
        import torch

        self.reason: FinishReason | None = None
        self.room = room
        self._sampling, self._ends, self._temperature = sampling, ends, temperature
        self._emit, self._cancelled = emit, cancelled
        self._text, self._tail = Detokenizer(tokenizer), StopAt(stop)
        self._random = torch.Generator(device=device)
        self._random.manual_seed(seed) if seed is not None else self._random.seed()
        self._written: list[int] = []

    @property
    def tokens(self) -> int:
        """How many it has."""
        return len(self._written)

    def goes_on(self) -> bool:
        """Whether it needs another token; one that was cancelled ends here."""
        if self.reason is None and (self._cancelled() or self.room <= 0):
            self._end("cancelled" if self._cancelled() else "length")
        return self.reason is None

    def take(self, logits: Any) -> int | None:
        """Choose the next token, which the model reads next; None where the answer ended.

        Args:
            logits: float tensor of shape (vocabulary,), changed in place.
        """
        token = self._sampling.choose(logits, self._written, self._temperature, self._random)
        if token in self._ends:
            return self._end("stop")
        self._written.append(token)
        self._emit(self._tail.feed(self._text.feed(token)))
        if self._tail.stopped:
            return self._end("stop")
        return self._end("length") if len(self._written) >= self.room else token

    def _end(self, reason: FinishReason) -> None:
        self.reason = reason
        self._emit(self._tail.feed(self._text.rest()))
        self._emit(self._tail.rest())


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
