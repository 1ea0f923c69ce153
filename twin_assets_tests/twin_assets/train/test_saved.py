"""An adapter that was saved otherwise than it was trained is found out before anything is made of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from twin_assets.train.saved import SavedWrongly, check_saved
from twin_assets_tests.support.tiny_models import TinyModels
from twin_resources.models import causal

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


@pytest.fixture
def trained(tiny_models: Callable[[str], TinyModels]) -> Any:
    import peft

    tiny = tiny_models("llama")
    return peft.PeftModel.from_pretrained(causal.load_model(tiny.base, "float32"), tiny.first)


def test_a_faithful_copy_is_let_through_and_leaves_the_trained_one_as_it_was(
    trained: Any, tiny_models: Callable[[str], TinyModels]
) -> None:
    tiny = tiny_models("llama")
    found = check_saved(trained, tiny.first, causal.load_tokenizer(tiny.base), "Ada")
    assert found.positions > 30
    assert abs(found.largest) < 1e-5
    assert list(trained.peft_config) == ["default"]
    assert trained.active_adapter == "default"


def test_another_scale_other_weights_and_half_a_file_are_found_out(
    trained: Any, tiny_models: Callable[[str], TinyModels], tmp_path: Path
) -> None:
    tiny = tiny_models("llama")
    tokenizer = causal.load_tokenizer(tiny.base)
    doubled, halved = tmp_path / "doubled", tmp_path / "halved"
    for folder in (doubled, halved):
        shutil.copytree(tiny.first, folder)
    config = json.loads((doubled / "adapter_config.json").read_text())
    (doubled / "adapter_config.json").write_text(json.dumps({**config, "lora_alpha": 2 * config["lora_alpha"]}))
    weights = halved / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:4000])
    for folder in (doubled, tiny.second):
        with pytest.raises(SavedWrongly, match=r"not the one that was trained: over \d+ tokens they are"):
            check_saved(trained, folder, tokenizer, "Ada")
    with pytest.raises(SavedWrongly, match="cannot be read"):
        check_saved(trained, halved, tokenizer, "Ada")
