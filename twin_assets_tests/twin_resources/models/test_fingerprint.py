"""Telling weights apart."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from twin_assets_tests.support.tiny_models import TinyModels
from twin_resources.models.fingerprint import RECORD, AnotherBase, check_base, fingerprint, template


def test_a_copy_is_the_same_and_one_changed_weight_is_not(
    tiny_models: Callable[[str], TinyModels], tmp_path: Path
) -> None:
    base = tiny_models("llama").base
    copy = shutil.copytree(base, tmp_path / "copy")
    settings = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**settings, "transformers_version": "9.9"}))
    assert fingerprint(copy) == fingerprint(base)
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[len(weights) // 2] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert fingerprint(copy) != fingerprint(base)
    (copy / "config.json").write_text(json.dumps({**settings, "rope_theta": 1.0}))
    (copy / "model.safetensors").write_bytes((base / "model.safetensors").read_bytes())
    assert fingerprint(copy) != fingerprint(base), "the same weights in another shape"


def test_an_adapter_goes_over_the_base_it_was_trained_over(
    tiny_models: Callable[[str], TinyModels], tmp_path: Path
) -> None:
    llama, gemma = tiny_models("llama").base, tiny_models("gemma3").base
    check_base(tmp_path, llama)
    (tmp_path / RECORD).write_text(json.dumps({"facts": {"base fingerprint": fingerprint(llama)}}))
    check_base(tmp_path, llama)
    with pytest.raises(AnotherBase, match=rf"trained over the base {fingerprint(llama)}.*twin\.yaml"):
        check_base(tmp_path, gemma)


@pytest.mark.parametrize("file", ["chat_template.jinja", "tokenizer_config.json"])
def test_an_adapter_is_not_asked_by_another_template(
    tiny_models: Callable[[str], TinyModels], tmp_path: Path, file: str
) -> None:
    base = shutil.copytree(tiny_models("llama").base, tmp_path / "base")
    (base / "chat_template.jinja").unlink(missing_ok=True)
    (base / file).write_text(json.dumps({"chat_template": "{{ messages }}"}))
    facts = {"base fingerprint": fingerprint(base), "base template": template(base)}
    (tmp_path / RECORD).write_text(json.dumps({"facts": facts}))
    check_base(tmp_path, base)
    (base / file).write_text(json.dumps({"chat_template": "{{ messages[0] }}"}))
    with pytest.raises(AnotherBase, match=r"chat template.*train again"):
        check_base(tmp_path, base)
    (base / file).unlink()
    with pytest.raises(AnotherBase, match="brings none"):
        check_base(tmp_path, base)


def test_an_adapter_of_before_templates_were_recorded_is_let_through(
    tiny_models: Callable[[str], TinyModels], tmp_path: Path
) -> None:
    base = tiny_models("llama").base
    (tmp_path / RECORD).write_text(json.dumps({"facts": {"base fingerprint": fingerprint(base)}}))
    check_base(tmp_path, base)
