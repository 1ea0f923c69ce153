"""What it costs to look at an adapter while it is trained: ``python -m benchmarks.looks``.

Reading a token and writing one of several texts side by side, by the packaged base with an adapter, in processor time
and in tokens that could be learned from meanwhile: the figures in ``twin_assets/train/looks/plan.py``.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from twin_resources.config.settings import Settings
from twin_resources.config.training import TrainingSettings
from twin_resources.models import causal, hub
from twin_resources.models.lora import lora_config

_BATCH, _TOKENS, _PROMPT = 4, 150, 40
_WRITTEN = 8
_NOBODY_WRITES_IT = 0


def _timed(act: Callable[[], Any]) -> float:
    began = time.process_time()
    act()
    return time.process_time() - began


def main() -> None:
    """Print the table."""
    import peft

    settings, drawn = Settings(), random.Random(1)
    model = causal.load_model(hub.resolve(settings.models.base, settings), settings.models.dtype)
    adapted: Any = peft.get_peft_model(model, lora_config(model, TrainingSettings.model_validate({})))

    def row(tokens: int) -> causal.Encoded:
        return causal.Encoded(tuple(drawn.choices(range(1000, 20_000), k=tokens)), _PROMPT)

    batch = causal.collate([row(_TOKENS) for _ in range(_BATCH)], 0)

    def learn() -> None:
        loss, count = causal.answer_loss(adapted.train(), batch)
        (loss / count).backward()

    def write(prompts: list[tuple[int, ...]], tokens: int) -> None:
        causal.continued(adapted.eval(), prompts, tokens, 0, _NOBODY_WRITES_IT)

    learn()
    learned = min(_timed(learn) for _ in range(3)) / (_BATCH * _TOKENS)
    print(f"| learned from | {1000 * learned:.1f} ms of processor time a token | 1 |")
    write([row(_PROMPT).ids], 1)
    for texts, tokens in ((1, 40), (3, 40), (8, 64)):
        prompts = [row(tokens).ids for _ in range(texts)]
        read = min(_timed(lambda prompts=prompts: write(prompts, 1)) for _ in range(3))
        whole = min(_timed(lambda prompts=prompts: write(prompts, 1 + _WRITTEN)) for _ in range(3))
        step = (whole - read) / _WRITTEN
        each = read / (texts * tokens)
        print(f"| read, {texts} of {tokens} tokens | {1000 * each:.1f} ms a token | {each / learned:.2f} |")
        print(f"| one token of each of {texts} written | {1000 * step:.0f} ms | {step / learned:.1f} |")


if __name__ == "__main__":
    main()
