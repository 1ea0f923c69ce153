"""A twin exported as one model says what the twin says, or there is no export."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from twin_assets_tests.support import gguf_writer
from twin_assets_tests.support.tiny_models import FIRST, TinyModels
from twin_resources.exporting import model as exporting
from twin_resources.exporting.export import ExportError
from twin_resources.exporting.model import Source, export_model
from twin_resources.models import causal
from twin_resources.rag import prompt

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


@pytest.fixture
def source(tiny_models: Callable[[str], TinyModels]) -> Source:
    tiny = tiny_models("llama")
    return Source("ada-1", "Ada Berg", "tiny", tiny.base, tiny.first, "auto")


def _export(source: Source, folder: Path, form: str = "safetensors") -> exporting.ExportedModel:
    return export_model(source, folder, form=form, tell=lambda _: None)


def test_other_programs_load_it_without_peft_and_hear_the_twin(source: Source, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    done = _export(source, tmp_path / "out")
    assert done.parity.within(exporting.MEAN, exporting.LARGEST)
    assert {"model.safetensors", "config.json", "tokenizer.json", "README.md"} <= {each.name for each in done.files}
    model: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path / "out")
    turns = prompt.messages("What is the rule?", (), author="Ada Berg")
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert text == prompt.render(causal.load_tokenizer(source.base), turns), "its own template is the one that serves"
    ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
    written = model.generate(ids, max_new_tokens=40, do_sample=False)[0, ids.shape[1] :]
    assert tokenizer.decode(written, skip_special_tokens=True).strip() == FIRST
    assert "nats apart" in (tmp_path / "out" / "README.md").read_text()
    with pytest.raises(ExportError, match="is not empty"):
        _export(source, tmp_path / "out")


def _merges(monkeypatch: pytest.MonkeyPatch, wrong: Callable[[Source, Path], None]) -> None:
    monkeypatch.setattr(exporting, "merge", wrong)


def test_a_wrong_merge_is_not_exported(
    source: Source, tiny_models: Callable[[str], TinyModels], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge = exporting.merge
    other = Source("ada-2", "Ada Berg", "tiny", source.base, tiny_models("llama").second, "auto")
    _merges(monkeypatch, lambda _, folder: merge(other, folder))
    with pytest.raises(ExportError, match=r"the exported model is not ada-1: over \d+ tokens.*nothing was exported"):
        _export(source, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_another_template_is_not_exported(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    merge = exporting.merge

    def other_template(given: Source, folder: Path) -> None:
        merge(given, folder)
        tokenizer = causal.load_tokenizer(folder)
        tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"
        tokenizer.save_pretrained(folder)

    _merges(monkeypatch, other_template)
    with pytest.raises(ExportError, match="chat template reads the prompts of ada-1 otherwise"):
        _export(source, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_gguf_needs_the_converter_and_holds_only_what_it_wrote(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ExportError, match=r"convert_hf_to_gguf.py, which is not on PATH"):
        _export(source, tmp_path / "out", "gguf")
    with pytest.raises(ExportError, match="no format 'onnx'; formats are safetensors, gguf"):
        _export(source, tmp_path / "out", "onnx")
    tools = tmp_path / "bin"
    tools.mkdir()
    program = tools / "convert_hf_to_gguf.py"
    writer = Path(gguf_writer.__file__)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {writer} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    done = _export(source, tmp_path / "out", "gguf")
    assert [each.name for each in done.files] == ["README.md", "ada-1.gguf"]
    assert done.parity.within(exporting.MEAN, exporting.LARGEST)
    monkeypatch.setenv("SCALED", "1.5")
    with pytest.raises(ExportError, match=r"the GGUF file is not ada-1: over \d+ tokens.*nothing was exported"):
        _export(source, tmp_path / "again", "gguf")
    program.write_text('#!/bin/sh\necho GGUF > "$3"\n')
    with pytest.raises(ExportError, match="the GGUF file of ada-1 cannot be read, so it cannot be compared"):
        _export(source, tmp_path / "again", "gguf")
    program.write_text("#!/bin/sh\necho unknown architecture >&2\nexit 1\n")
    with pytest.raises(ExportError, match="did not write a model: unknown architecture"):
        _export(source, tmp_path / "again", "gguf")
