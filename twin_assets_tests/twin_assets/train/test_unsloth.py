"""Training with Unsloth: by what stands in for it where there is no GPU, and by itself where there is one."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from twin_assets.dataset.files import write_instruct, write_preference
from twin_assets.dataset.generators.preference import PreferencePair
from twin_assets.dataset.samples import InstructDataset
from twin_assets.train.backends import unsloth
from twin_assets.train.backends.choice import Interpreter, NoUnsloth, chosen, cuda_capability
from twin_assets.train.backends.group import Group
from twin_assets.train.backends.guards import TrainingError
from twin_assets.train.backends.peft import PeftBackend
from twin_assets.train.job import EncodedDataset
from twin_assets_tests.support.rows import sample
from twin_assets_tests.support.tiny_models import FIRST, SECOND, TinyModels
from twin_assets_tests.support.training import Seen, validated
from twin_resources.config.training import TrainingSettings
from twin_resources.models import causal

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
ROOT = Path(__file__).resolve().parents[3]
STAND_IN = ROOT / "twin_assets_tests" / "support" / "unsloth_stand_in"
PARAMETERS: dict[str, Any] = {
    "batch_size": 3,
    "gradient_accumulation": 2,
    "learning_rate": 0.005,
    "rank": 8,
    "token_budget": None,
    "max_sample_tokens": 512,
    "checkpoint_every": 2,
    "sample_texts": {"share": 0.5, "tokens": 8},
    "dpo": {"learning_rate": 0.002, "epochs": 2},
}
REAL = importlib.util.find_spec("unsloth") is not None and Path("/dev/nvidiactl").exists()


class Jobs:
    """Jobs over a tiny Llama, in one process of their own, on samples of unlike lengths.

    Args:
        device: what has Unsloth take a machine for one with a GPU.
    """

    def __init__(self, folder: Path, tiny: TinyModels, path: tuple[Path, ...], device: dict[str, str]) -> None:
        self.folder, self.tiny = folder, tiny
        self._environment = {**os.environ, **device, "PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT)))}
        for each in ("here", "data"):
            (folder / each).mkdir()
        (folder / "twin.yaml").write_text(yaml.safe_dump({"models": {"dtype": "float32"}}))
        sentences = (FIRST, SECOND)
        samples = [
            sample("Say it." * (1 + number % 3), sentences[number % 2] * (1 + number % 4), id=f"s{number}", split=split)
            for split, count in (("train", 48), ("validation", 3), ("test", 1))
            for number in range(count)
        ]
        write_instruct(folder / "data", InstructDataset("ada", samples))
        pairs = [PreferencePair(f"p{n}", f"Say {n}?", SECOND, FIRST * (1 + n % 2), f"t{n}") for n in range(24)]
        write_preference(folder / "data", pairs)

    def __call__(self, *jobs: dict[str, Any]) -> list[dict[str, Any]]:
        """What these jobs told, each with a ``name``, parameters, and extras."""
        files = [self._file(number, **job) for number, job in enumerate(jobs)]
        command = [sys.executable, "-m", "twin_assets_tests.support.unsloth_jobs", *map(str, files)]
        done = subprocess.run(
            command, env=self._environment, cwd=self.folder / "here", timeout=300, check=False, capture_output=True
        )
        assert done.returncode == 0, done.stderr.decode()[-3000:]
        return [json.loads(file.with_suffix(".told").read_text("utf-8")) for file in files]

    def _file(self, number: int, name: str, base: Path | None = None, start: Path | None = None, **more: Any) -> Path:
        asked = {"asked_at": more.pop("asked_at")} if "asked_at" in more else {}
        pairs = {"start_folder": str(start), "pairs_folder": str(self.folder / "data")} if start else {}
        extras = {
            "author": "ada",
            "author_name": "Ada",
            "config": str(self.folder / "twin.yaml"),
            "workdir": str(self.folder / name),
            "dataset_id": "d1",
            "dataset_folder": str(self.folder / "data"),
            "base": "org/tiny",
            "base_folder": str(base or self.tiny.base),
            "parameters": {**PARAMETERS, "backend": "unsloth", **more},
            "version": f"ada-{name}",
            "code_version": "1",
            "hyperparameters": "from this test",
            **pairs,
            **asked,
        }
        file = self.folder / f"{number}-{name}.json"
        file.write_text(json.dumps(extras), encoding="utf-8")
        return file

    def adapter(self, name: str) -> Path:
        return self.folder / name / "adapter"

    def history(self, name: str) -> list[dict[str, float]]:
        return json.loads((self.adapter(name) / "training.json").read_text("utf-8"))["history"]


@pytest.fixture
def tiny(tiny_models: Callable[[str], TinyModels]) -> TinyModels:
    return tiny_models("llama")


def by_peft(tiny: TinyModels, folder: Path, checkpoints: Path) -> Any:
    """The training of :class:`Jobs` by the other back end, from what is in ``checkpoints``."""
    parameters = TrainingSettings(**PARAMETERS)
    backend = PeftBackend()
    dataset = EncodedDataset.read(folder / "data", backend.tokenizer(tiny.base), "Ada", parameters, print)
    return backend.train(dataset.task(tiny.base, "float32", parameters, checkpoints), Seen())


READY = Interpreter(installed=True, bitsandbytes=True, capability=(8, 9))


def described(folder: Path, family: str = "llama", positions: int = 4096) -> Path:
    """A base that is only described."""
    folder.mkdir(exist_ok=True)
    config = {"model_type": family, "max_position_embeddings": positions}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def test_what_it_trains_is_what_peft_trains_also_packed_and_gone_on_with(tiny: TinyModels, tmp_path: Path) -> None:
    import peft
    from safetensors.torch import load_file

    jobs = Jobs(tmp_path, tiny, (STAND_IN,), {"UNSLOTH_ALLOW_CPU": "1"})
    refused, whole, ended, resumed, preferred = jobs(
        {"name": "refused", "base": described(tmp_path / "other", "gemma3_text")},
        {"name": "whole"},
        {"name": "packed", "packing": True, "asked_at": 5},
        {"name": "packed", "packing": True, "backend": "auto"},
        {"name": "preferred", "start": tiny.first},
    )
    assert refused["code"] == 1
    assert refused["lines"][-1].startswith("training.backend is unsloth, and it has no layers of its own for other")
    assert [each["code"] for each in (whole, ended, resumed, preferred)] == [0, 143, 0, 0], (whole, preferred)
    assert ended["lines"][-1] == "asked to end at step 6 of 8; it is kept"
    assert "going on from checkpoint-6" in resumed["lines"]
    (told,) = whole["reported"]
    assert [(each["question"], bool(each["text"])) for each in told["texts"]] == [("Say it.", True)]
    assert not any("padding them instead" in line for line in resumed["lines"])
    assert not list((tmp_path / "here").iterdir()), "nothing is written into the working directory"
    assert (tmp_path / "whole" / "unsloth_compiled_cache").is_dir()

    trained = by_peft(tiny, tmp_path, tmp_path / "by-peft")
    for name in ("whole", "packed"):
        history = jobs.history(name)
        assert [entry.get("loss") for entry in history] == pytest.approx(
            [entry.get("loss") for entry in trained.history], abs=1e-3
        )
        assert [entry.get("eval_loss") for entry in history] == pytest.approx(
            [entry.get("eval_loss") for entry in trained.history], abs=1e-3
        )
        config = json.loads((jobs.adapter(name) / "adapter_config.json").read_text("utf-8"))
        assert (config["base_model_name_or_path"], config["auto_mapping"]) == ("org/tiny", None)
        assert isinstance(config["target_modules"], list)
        facts = json.loads((jobs.adapter(name) / "training.json").read_text("utf-8"))["facts"]
        assert facts["backend"] == "unsloth"
    shutil.rmtree(tmp_path / "packed" / "checkpoints" / "checkpoint-8")
    gone_on_with = by_peft(tiny, tmp_path, tmp_path / "packed" / "checkpoints")
    assert gone_on_with.resumed, "from the checkpoint that the other one kept"
    assert validated(gone_on_with) == pytest.approx(validated(trained), abs=1e-3)
    theirs = load_file(jobs.adapter("whole") / "adapter_model.safetensors")
    trained.model.save_pretrained(str(tmp_path / "saved"))
    ours = load_file(tmp_path / "saved" / "adapter_model.safetensors")
    assert {name: each.shape for name, each in theirs.items()} == {name: each.shape for name, each in ours.items()}

    tokenizer = causal.load_tokenizer(tiny.base)
    row = causal.encode(tokenizer, "### Say\n", SECOND, 200)
    assert row
    said = {}
    for name in ("whole", "preferred"):
        loaded = peft.PeftModel.from_pretrained(causal.load_model(tiny.base, "float32"), str(jobs.adapter(name)))
        said[name] = next(causal.losses(loaded.eval(), [row], tokenizer.pad_token_id))[0]
    assert said["whole"] == pytest.approx(next(causal.losses(trained.model.eval(), [row], 0))[0], rel=1e-2)
    margins = [entry["eval_loss"] for entry in jobs.history("preferred") if "eval_loss" in entry]
    assert margins[0] == pytest.approx(math.log(2), rel=1e-3), "it starts where the adapter it goes on from stands"
    assert margins[-1] < margins[0] / 2


@pytest.mark.skipif(not REAL, reason="takes Unsloth in this interpreter, and an NVIDIA GPU")
def test_unsloth_itself_trains_what_peft_trains(tiny: TinyModels, tmp_path: Path) -> None:
    import peft

    jobs = Jobs(tmp_path, tiny, (), {})
    whole, packed, preferred = jobs(
        {"name": "whole"}, {"name": "packed", "packing": True}, {"name": "preferred", "start": tiny.first}
    )
    assert [each["code"] for each in (whole, packed, preferred)] == [0, 0, 0], (whole, packed, preferred)
    trained = by_peft(tiny, tmp_path, tmp_path / "by-peft")
    for name in ("whole", "packed"):
        measured = [entry["eval_loss"] for entry in jobs.history(name) if "eval_loss" in entry]
        assert measured == pytest.approx(validated(trained), rel=0.02)
        loaded: Any = peft.PeftModel.from_pretrained(causal.load_model(tiny.base, "float32"), str(jobs.adapter(name)))
        assert loaded.peft_config["default"].r == PARAMETERS["rank"]
    margins = [entry["eval_loss"] for entry in jobs.history("preferred") if "eval_loss" in entry]
    assert margins[0] == pytest.approx(math.log(2), rel=0.01)
    assert margins[-1] < margins[0] / 2


@pytest.mark.parametrize(
    ("there", "settings", "base", "processes", "reason", "remedy"),
    [
        ({"installed": False}, {}, {}, 1, f"is not installed in {sys.executable}", r"training\.python"),
        ({"capability": None}, {}, {}, 1, "no CUDA device here", "NVIDIA GPU"),
        ({"capability": (7, 5)}, {}, {}, 1, "does not compute in bfloat16", "float32"),
        ({"loaded": ("transformers",)}, {}, {}, 1, "transformers is imported already", r"training\.python"),
        ({}, {"processes": 2}, {}, 2, "2 processes are to share", r"training\.processes"),
        ({}, {"processes": 2, "shard": True}, {}, 2, "2 processes are to share", r"training\.processes"),
        (
            {},
            {},
            {"family": "gemma3_text"},
            1,
            "no layers of its own for base, which is a gemma3_text",
            r"models\.base",
        ),
        ({}, {}, {"family": "gpt_oss"}, 1, "which is a gpt_oss", "llama, mistral, qwen2 or qwen3"),
        ({"bitsandbytes": False}, {"quantization": "nf4"}, {}, 1, "cannot keep a base in nf4", "bitsandbytes"),
        ({}, {}, {"positions": 256}, 1, "512 tokens and the base has 256 positions", "max_answering_tokens"),
        ({}, {"dtype": "float16"}, {}, 1, "not used in float16", r"models\.dtype"),
    ],
)
def test_what_it_cannot_train_is_refused_where_it_is_named_and_left_to_peft_where_it_is_not(
    there: dict[str, Any],
    settings: dict[str, Any],
    base: dict[str, Any],
    processes: int,
    reason: str,
    remedy: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("UNSLOTH_ALLOW_CPU", raising=False)
    dtype = settings.pop("dtype", "auto")
    given: dict[str, Any] = {"base": described(tmp_path / "base", **base), "dtype": dtype, "workdir": tmp_path}
    given |= {"group": Group(0, processes), "there": replace(READY, **there)}
    lines: list[str] = []
    with pytest.raises(NoUnsloth, match=rf"^training\.backend is unsloth, and .*{reason}.*; .*{remedy}.* auto or peft"):
        chosen(TrainingSettings(backend="unsloth", **settings), log=lines.append, **given)
    assert not lines
    assert chosen(TrainingSettings(backend="auto", **settings), log=lines.append, **given).name == "peft"
    assert lines[0].startswith("training with PEFT and not with Unsloth: ")
    assert reason in lines[0]
    assert chosen(TrainingSettings(backend="peft", **settings), log=lines.append, **given).name == "peft"


def test_auto_is_unsloth_where_everything_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[Path] = []
    monkeypatch.setattr(unsloth, "load", loaded.append)
    lines: list[str] = []
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("qwen3", {}, "auto"),
        ("mistral", {"quantization": "nf4"}, "float32"),
    ]
    for family, settings, dtype in cases:
        base = described(tmp_path / "base", family)
        given: dict[str, Any] = {"dtype": dtype, "workdir": tmp_path, "there": READY}
        assert chosen(TrainingSettings(**settings), base=base, log=lines.append, **given).name == "unsloth"
    assert loaded == [tmp_path, tmp_path]
    assert lines[0] == "training with Unsloth: it is installed here, and has layers of its own for base"


def test_one_that_cannot_be_imported_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "unsloth", raising=False)
    (tmp_path / "unsloth.py").write_text("raise NotImplementedError('You need a GPU.\\nReally.')")
    with pytest.raises(TrainingError, match=r"cannot be imported: NotImplementedError: You need a GPU\.; .*to peft"):
        unsloth.load(tmp_path)


def test_a_machine_without_a_driver_has_no_device() -> None:
    if Path("/dev/nvidiactl").exists():
        pytest.skip("there is one")
    assert cuda_capability() is None
    assert Interpreter.here().capability is None


def test_a_loss_is_the_same_on_whichever_side_rows_are_padded(tiny: TinyModels) -> None:
    tokenizer = causal.load_tokenizer(tiny.base)
    rows = [causal.encode(tokenizer, "### Say\n" * length, text, 200) for length, text in ((1, FIRST), (3, SECOND))]
    samples = [row for row in rows if row]
    model = causal.load_model(tiny.base, "float32")
    found = [causal.answer_loss(model, causal.collate(samples, 0, side=side)) for side in ("left", "right")]
    assert [int(count) for _, count in found] == [sum(each.answer_length for each in samples)] * 2
    assert found[0][0].item() == pytest.approx(found[1][0].item(), rel=1e-5)
    marked = causal.collate(samples, 0, packed=True, marked=True)
    assert marked["packed_seq_lengths"].tolist() == [len(each.ids) for each in samples]
    assert "packed_seq_lengths" not in causal.collate(samples, 0, packed=True)
