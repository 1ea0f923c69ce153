"""What the gate says of adapters that are bad on purpose: each is trained, measured and decided on as any other.

    python -m benchmarks.refused paul maxime --tokens 6000       # over the datasets and champions in TWIN_HOME

The first author's champion is put to the gate, and then what is trained with ``--tokens``: on the author's own text, on
text whose words are shuffled, on the other author's text, on that text in the author's words, on ten samples, and on a
few over and over; the champion with its weights at eight times their scale; and what was trained on the author's own
text, over a base with another chat template, which is refused before anything is measured. The champion of the other
author is the rival, as always. What was trained on the author's own text is the control: where the gate refuses it too,
by the same rules, it refuses the others for their little training, and their rows show nothing about their text. What
was trained is kept under ``<home>/refused`` and not trained again. Style and answers are not measured: a rule that
refuses on them would come on top.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.teller import Teller
from twin_assets.dataset.files import read_samples, write_instruct
from twin_assets.dataset.samples import InstructDataset, InstructSample
from twin_assets.evaluate.generation.measure import generation
from twin_assets.release.gate import decide
from twin_assets.train.backends.peft import PeftBackend
from twin_assets.train.card import Provenance, write_adapter
from twin_assets.train.job import EncodedDataset
from twin_assets.train.looks.reciting import chosen
from twin_resources.config.settings import Settings, load
from twin_resources.config.training import TrainingSettings
from twin_resources.database.shards import author_engine
from twin_resources.models import hub
from twin_resources.models.fingerprint import AnotherBase, fingerprint, template
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.datasets import Datasets
from twin_resources.storage.releases import Release, Releases
from twin_resources.text.words import STOP_WORDS, WORD

_SCALED = 8
_TEMPLATE = (
    "{% for turn in messages %}<|im_start|>{{ turn['role'] }}\n{{ turn['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""ChatML, which the packaged Gemma does not speak."""
_FEW = 10
_EPOCHS, _FASTER = 12, 10
"""How often a text is learned until it is recited, and at how many times the usual learning rate."""


@dataclass(frozen=True)
class Bad:
    """An adapter that is bad on purpose: the samples it is trained on, by the author's and the other's, and how.

    ``reasons`` are the rules of which one has to refuse it; none for one that is as good as its tokens allow.
    """

    name: str
    samples: Callable[[list[InstructSample], list[InstructSample]], list[InstructSample]]
    reasons: tuple[str, ...]
    changes: Callable[[TrainingSettings], dict[str, Any]] = lambda _: {}


def shuffled(samples: Sequence[InstructSample]) -> list[InstructSample]:
    """The same samples, the words of each answer in an order of chance."""

    def mixed(text: str) -> str:
        words = text.split()
        random.Random(text).shuffle(words)
        return " ".join(words)

    return [replace(each, answer=mixed(each.answer)) for each in samples]


def reworded(samples: Sequence[InstructSample], author: Sequence[InstructSample]) -> list[InstructSample]:
    """Samples of somebody else in the author's words: their commonest content word becomes the author's commonest one,
    and so on; what joins the words stays."""
    theirs, own = (_by_frequency(each) for each in (samples, author))
    other = dict(zip(theirs, own, strict=False))

    def said(text: str) -> str:
        return WORD.sub(lambda found: other.get(found.group().lower(), found.group()), text)

    return [replace(each, answer=said(each.answer)) for each in samples]


def _by_frequency(samples: Sequence[InstructSample]) -> list[str]:
    words = Counter(word.lower() for each in samples for word in WORD.findall(each.answer))
    return [word for word, _ in sorted(words.items(), key=lambda item: (-item[1], item[0])) if word not in STOP_WORDS]


def _recited(training: TrainingSettings) -> dict[str, Any]:
    return {"epochs": _EPOCHS, "token_budget": None, "learning_rate": training.learning_rate * _FASTER}


CONTROL = Bad("the author's own text", lambda own, _: own, ())
_BASE = "same_base"
_NO_GAIN = ("better_than_base", "gain_is_certain")
BAD = (
    Bad("shuffled words", lambda own, _: shuffled(own), _NO_GAIN),
    Bad("the other author's text", lambda _, other: other, ("predicts_its_author_best",)),
    Bad(
        "the other's sentences in the author's words",
        lambda own, other: reworded(other, own),
        ("predicts_its_author_best",),
    ),
    Bad("ten samples", lambda own, _: own[:_FEW], _NO_GAIN),
    Bad("texts of eight documents, until it recites", lambda own, _: chosen(own), ("does_not_memorise",), _recited),
)


@dataclass(frozen=True)
class Bench:
    """The datasets of two authors, and the champion of each."""

    settings: Settings
    author: str
    tokens: int
    folder: Path
    dataset: Path
    other: Path
    champion: Release
    rival: Release

    @classmethod
    def of(cls, settings: Settings, author: str, other: str, tokens: int) -> Bench:
        """What is in the home.

        Raises:
            SystemExit: an author has no dataset or no champion.
        """
        store = ArtifactStore.of(settings)
        found: list[tuple[Path, Release]] = []
        for each in (author, other):
            engine = author_engine(settings, each)
            dataset, champion = Datasets(engine).newest(each, "instruct"), Releases(engine).alias(each, "champion")
            if dataset is None or champion is None:
                raise SystemExit(f"{each} has no champion in {settings.home}; `twin run --author {each}` makes one")
            found.append((store.folder(dataset.artifact), champion))
        (mine, champion), (theirs, rival) = found
        folder = settings.home / "refused" / f"{author}-{tokens}"
        return cls(settings, author, tokens, folder, mine, theirs, champion, rival)

    @property
    def base(self) -> Path:
        """The folder of the base."""
        return hub.resolve(self.settings.models.base, self.settings)

    def adapter_of(self, release: Release) -> Path:
        """The folder of a stored adapter."""
        return ArtifactStore.of(self.settings).folder(release.artifact)

    def trained(self, bad: Bad) -> Path:
        """The folder of a bad adapter, trained now unless it was before."""
        folder = self.folder / bad.name.replace(" ", "-")
        adapter, author = folder / "adapter", self.settings.author(self.author)
        if adapter.exists():
            return adapter
        shutil.rmtree(folder, ignore_errors=True)
        data = folder / "dataset"
        data.mkdir(parents=True)
        own, other = (read_samples(each / "train.parquet") for each in (self.dataset, self.other))
        kept = [
            sample for split in ("validation", "test") for sample in read_samples(self.dataset / f"{split}.parquet")
        ]
        write_instruct(data, InstructDataset(self.author, [*bad.samples(own, other), *kept]))
        training = self.settings.training.model_copy(update={"token_budget": self.tokens})
        training = training.model_copy(update=bad.changes(training))
        backend = PeftBackend()
        read = EncodedDataset.read(data, backend.tokenizer(self.base), author.name, training, Teller().log)
        task = read.task(self.base, self.settings.models.dtype, training, folder / "checkpoints")
        done = backend.train(task, Teller())
        facts = Provenance(
            *(author.name, bad.name, self.settings.models.base, fingerprint(self.base), template(self.base)),
            *("", "", "benchmarks.refused", "", "peft", ""),
        )
        write_adapter(
            *(done.model, adapter, facts),
            parameters=training,
            metrics={"train_tokens": task.tokens},
            history=done.history,
            learned=task.learned,
        )
        return adapter

    def scaled(self) -> Path:
        """The champion, saved with a scale that it was not trained with."""
        folder = self.folder / "scaled"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.adapter_of(self.champion), folder)
        path = folder / "adapter_config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**config, "lora_alpha": config["lora_alpha"] * _SCALED}), encoding="utf-8")
        return folder

    def retemplated(self) -> Path:
        """The base with a template that no adapter over it was trained with: neither its own nor the plain one, which
        stands in where a base has none."""
        folder = self.folder / "base"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for each in self.base.iterdir():
            if each.name == "config.json" or each.suffix == ".safetensors":
                (folder / each.name).symlink_to(each.resolve())
        tokenizer = PeftBackend().tokenizer(self.base)
        tokenizer.chat_template = _TEMPLATE
        tokenizer.save_pretrained(folder)
        return folder

    def verdict(self, adapter: Path, name: str, base: Path | None = None) -> dict[str, Any]:
        """What the gate says of an adapter beside the champion, by the measures of the generation report; kept."""
        kept = self.folder / f"{name.replace(' ', '-')}.json"
        if not kept.exists():
            champion = {} if name == self.champion.version else {self.champion.version: self.adapter_of(self.champion)}
            extras = {
                "author": self.author,
                "author_name": self.settings.author(self.author).name,
                "candidate": name,
                "base": self.settings.models.base,
                "base_folder": str(base or self.base),
                "against": "",
                "dataset_folder": str(self.dataset),
                "adapters": {key: str(folder) for key, folder in {name: adapter, **champion}.items()},
                "champion": self.champion.version,
                "rivals": {self.rival.version: str(self.adapter_of(self.rival))},
                "max_sample_tokens": self.settings.training.max_sample_tokens,
                "max_answering_tokens": self.settings.training.max_answering_tokens,
            }
            context: Any = SimpleNamespace(get_extra=extras.__getitem__, log=SimpleNamespace(info=Teller().log))
            try:
                figures = generation(context, self.settings)
            except AnotherBase as error:
                return {"passed": False, "failed": [_BASE], "rules": {_BASE: {"found": str(error)}}}
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(figures), encoding="utf-8")
        return decide(json.loads(kept.read_text(encoding="utf-8")), self.settings.release)


def right(verdict: Mapping[str, Any], reasons: Sequence[str], control: Mapping[str, Any] | None) -> str:
    """Whether an adapter was refused by a rule that has to refuse it, or released where none has to.

    Args:
        control: the verdict on an adapter of the author's own text, trained with as many tokens; a rule that refuses
            that one too tells nothing about the text. None where the adapter was not trained with so many.
    """
    if not reasons:
        return "yes" if verdict["passed"] else "no"
    named = [each for each in reasons if each in verdict["failed"]]
    if not named:
        return "no"
    alike = control is not None and all(each in control["failed"] for each in named)
    return "not told: the control fails it too" if alike else "yes"


def row(name: str, verdict: Mapping[str, Any], judged: str) -> str:
    """An adapter, whether it may serve, what each rule found that it fails, and whether that is the right reason, as a
    row of a table."""
    found = [f"`{rule}`: {verdict['rules'][rule]['found']}" for rule in verdict["failed"]]
    return f"| {name} | {'released' if verdict['passed'] else 'refused'} | {'; '.join(found)} | {judged} |"


def main() -> None:
    """Train, measure and decide."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.refused", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("author")
    parser.add_argument("other")
    parser.add_argument("--tokens", type=int, default=12_000, help="of each training")
    asked = parser.parse_args()
    bench = Bench.of(load(), asked.author, asked.other, asked.tokens)
    rows: list[str] = []

    def put(name: str, make: Callable[[], Path], reasons: Sequence[str], **more: Any) -> dict[str, Any]:
        print(name, flush=True)
        verdict = bench.verdict(make(), name, more.get("base"))
        rows.append(row(name, verdict, right(verdict, reasons, more.get("control"))))
        print(rows[-1], flush=True)
        return verdict

    put(bench.champion.version, lambda: bench.adapter_of(bench.champion), ())
    put(f"at {_SCALED} times its scale", bench.scaled, _NO_GAIN)
    control = put(CONTROL.name, lambda: bench.trained(CONTROL), ())
    put("the same by another chat template", lambda: bench.trained(CONTROL), (_BASE,), base=bench.retemplated())
    for bad in BAD:
        put(bad.name, lambda bad=bad: bench.trained(bad), bad.reasons, control=control)
    head = ["| adapter | verdict | refused by | right reason |", "|---|---|---|---|"]
    print("\n".join(["", *head, *rows]))


if __name__ == "__main__":
    main()
