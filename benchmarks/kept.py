"""What adapters keep of their base: the general set, as `reports/generation` measures it.

    python -m benchmarks.kept .twin/models/gemma3-270m .twin/artifacts/adapters/1a2b… .twin/artifacts/adapters/3c4d…

Each adapter is merged into the base before it is asked, and taken out of it again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twin_assets.evaluate.generation import forgetting
from twin_resources.models import causal
from twin_resources.models.fingerprint import RECORD


def _name(folder: Path) -> str:
    """The version that the record of an adapter gives."""
    record = folder / RECORD
    return json.loads(record.read_text(encoding="utf-8"))["facts"]["version"] if record.exists() else folder.name


def _timed(measure: Callable[[], list[float]]) -> tuple[list[float], float]:
    start = time.process_time()
    return measure(), time.process_time() - start


def main() -> None:
    """Print what each adapter forgot."""
    import peft

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("adapters", type=Path, nargs="+")
    chosen = parser.parse_args()
    model, tokenizer = causal.load_base(chosen.base)
    items = forgetting.read(tokenizer)

    def bits(asked: Any) -> tuple[list[float], float]:
        return _timed(lambda: forgetting.bits_per_byte(asked, items, tokenizer.pad_token_id))

    base, seconds = bits(model)
    print(f"{len(items)} items; the base took {seconds:.1f} s of processor time")
    for folder in chosen.adapters:
        name = _name(folder)
        adapted: Any = peft.PeftModel.from_pretrained(model, folder, adapter_name=name)
        adapted.eval().merge_adapter([name])
        mine, seconds = bits(adapted)
        found = forgetting.figures(items, {"base": base, name: mine}, name)
        low, high = found["interval"]
        print(f"{name}: {found['rise']:+.1%} ({low:+.1%} to {high:+.1%}), bits a byte {found['bits_per_byte']}")
        print(f"  {seconds:.1f} s; most: {found['most'][0]}")
        adapted.unmerge_adapter()
        model = adapted.unload()


if __name__ == "__main__":
    main()
