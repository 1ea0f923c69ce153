"""Fine-tuning on samples or preference pairs in a process of its own; a killed one goes on from its checkpoint."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dagster_pipes import (
    PipesContext,
    PipesDefaultMessageWriter,
    PipesStreamMessageWriterChannel,
    open_dagster_pipes,
)

from twin_assets.dataset.encode import encode_samples
from twin_assets.dataset.files import stream_pairs, stream_samples
from twin_assets.dataset.mixture import general_rows
from twin_assets.train.backends.base import Backend, Trained, TrainingTask
from twin_assets.train.backends.choice import chosen
from twin_assets.train.backends.group import Group
from twin_assets.train.backends.guards import Interrupted, TrainingError
from twin_assets.train.card import RECORDED, Provenance, learned_by, write_adapter
from twin_assets.train.checkpoints import forget_those_of_another_base, in_one_step
from twin_assets.train.looks.asked import looks_at
from twin_assets.train.looks.record import Text
from twin_assets.train.preference import PreferenceObjective, encode_pairs
from twin_assets.train.preflight import fitted
from twin_assets.train.saved import check_saved
from twin_assets.train.schedule import in_whole_steps, watched, with_all, within_budget
from twin_resources.config.settings import Settings, load
from twin_resources.config.training import TrainingSettings
from twin_resources.database.shards import author_engine
from twin_resources.models.causal import Encoded
from twin_resources.models.fingerprint import fingerprint, template
from twin_resources.models.memory import Memory
from twin_resources.models.token_file import TokenFile
from twin_resources.rag import prompt
from twin_resources.runtime.processes import end_with_parent
from twin_resources.runtime.tracking import Tracking
from twin_resources.storage.training.pace import Forecast, forecast, hardware, pasts
from twin_resources.suite.canaries import canaries, is_canary
from twin_resources.telemetry.calls import SAMPLE_TEXTS

_INTERRUPTED = 143


class Spent:
    """The seconds that a training has taken, over all its processes that were ended; kept in a file."""

    def __init__(self, file: Path) -> None:
        self._file, self._began = file, time.monotonic()
        self._before = float(file.read_text()) if file.exists() else 0.0

    @property
    def seconds(self) -> float:
        """Until now."""
        return self._before + time.monotonic() - self._began

    def keep(self) -> None:
        """Write them down, in one step."""
        with in_one_step(self._file) as staging:
            staging.write_text(f"{self.seconds:.1f}")


@dataclass(frozen=True)
class _Watcher:
    """Tells the run's log and MLflow how far the training is; of several processes the first one does."""

    context: PipesContext
    tracking: Tracking
    run_id: str | None
    spent: Spent

    def log(self, message: str) -> None:
        self.context.log.info(message)
        if self.run_id:
            self.spent.keep()

    def metric(self, name: str, value: float, step: int) -> None:
        if self.run_id:
            self.tracking.metric(self.run_id, name, value, step)


class Unheard(PipesDefaultMessageWriter):
    """Where the processes beside the first one write to."""

    @contextlib.contextmanager
    def open(self, params: Any) -> Iterator[PipesStreamMessageWriterChannel]:
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            yield PipesStreamMessageWriterChannel(nowhere)


def train(context: PipesContext, backend: Backend, group: Group) -> dict[str, Any]:
    """Train one adapter and leave it, complete, in ``<workdir>/adapter``.

    Returns:
        Figures, the run of MLflow and the folder; of several processes the first one's.
    """
    extra = context.get_extra
    settings = load(extra("config"))
    parameters = TrainingSettings(**extra("parameters"))
    workdir = Path(extra("workdir"))
    workdir.mkdir(parents=True, exist_ok=True)
    spent = Spent(workdir / "seconds")
    make = _preference_task if "pairs_folder" in context.extras else _task
    task = group.share_of(make(context, backend, settings, parameters, workdir / "checkpoints"))
    with group.in_turn():
        if forget_those_of_another_base(task.checkpoints, fingerprint(task.base)):
            context.log.info("the base changed since the last checkpoint; starting again")
    there = Memory.here(group.beside)
    fits = group.agreed(fitted(task, there, context.log.info, group.size).parameters if group.first else None)
    task = replace(task, parameters=fits or task.parameters)
    tracking = Tracking(settings)
    recorded = _recorded(context, parameters, there)
    run_id = _tracking_run(context, tracking, recorded, workdir / "mlflow_run") if group.first else None
    if task.looks:
        task = replace(task, looks=replace(task.looks, tell=functools.partial(_show, tracking, run_id)))
    expected = _expected(context, settings, task, there, group) if group.first else None
    trained = backend.train(task, _Watcher(context, tracking, run_id, spent))
    folder, metrics = workdir / "adapter", _metrics(task, trained)
    metrics |= {"backend": backend.name, "training_code": extra("code_version")}
    metrics |= _took(parameters, spent, there, group, expected)
    if group.first:
        provenance = Provenance(
            author=extra("author_name"),
            version=extra("version"),
            base=extra("base"),
            base_fingerprint=fingerprint(task.base),
            base_template=template(task.base),
            dataset=extra("dataset_id"),
            pairs=context.extras.get("pairs_id", "none"),
            hyperparameters=extra("hyperparameters"),
            training_code=extra("code_version"),
            backend=backend.name,
            prompt=prompt.CODE_VERSION,
        )
        write_adapter(
            trained.model,
            folder,
            provenance,
            parameters=parameters,
            metrics=metrics,
            history=trained.history,
            learned=task.learned,
        )
    group.meet()
    if group.first or task.shards(group.size) > 1:  # a sharded base answers only where all ask
        found = check_saved(trained.model, folder, backend.tokenizer(task.base), extra("author_name"))
        context.log.info(f"saved and trained adapter are {found.largest:.1g} nats apart at most")
    if run_id is None:
        return {}
    tracking.finish(
        run_id,
        {name: float(value) for name, value in metrics.items() if isinstance(value, int | float)},
        [folder / "loss.png", folder / "README.md"],
    )
    experiment = tracking.experiment(extra("author"))
    texts = [asdict(each) for each in trained.looked.last_texts] if trained.looked else []
    curve = [[each["step"], each.get("loss"), each.get("eval_loss")] for each in trained.history]
    return {
        "metrics": metrics,
        "texts": texts,
        "curve": curve,
        "run_id": run_id,
        "experiment": experiment,
        "folder": str(folder),
    }


def _show(tracking: Tracking, run_id: str | None, texts: Sequence[Text]) -> None:
    """All that an adapter wrote on the way, as a table in MLflow."""
    if run_id:
        tracking.table(run_id, SAMPLE_TEXTS, [asdict(each) for each in texts])


@dataclass(frozen=True)
class EncodedDataset:
    """An instruct dataset in the tokens of a base, without its test split; ``too_long`` samples did not fit.

    The tokens lie in files, so its size is that of a disk.
    """

    train: Sequence[Encoded]
    validation: Sequence[Encoded]
    too_long: int
    pad_id: int
    ids: Sequence[str] = ()
    """Those of the author's training samples, and of canaries; general ones stand behind them."""

    @classmethod
    def read(
        cls, folder: Path, tokenizer: Any, author_name: str, parameters: TrainingSettings, log: Callable[[str], None]
    ) -> EncodedDataset:
        """Read the splits to train on and to validate on, and mix in what ``training.general`` names.

        Raises:
            TrainingError: no training sample fits.
        """
        limits = parameters.max_sample_tokens, parameters.max_answering_tokens
        train_set, validation = TokenFile(), TokenFile()
        ids: list[str] = []
        too_long = 0
        for split, rows in (("train", train_set), ("validation", validation)):
            samples = stream_samples(folder / f"{split}.parquet")
            for sample, encoded in encode_samples(tokenizer, samples, author_name, *limits):
                if encoded is not None:
                    rows.add(encoded)
                    if split == "train":
                        ids.append(sample.id)
                elif split == "train":
                    too_long += 1
        if not train_set:
            raise TrainingError(
                f"none of {too_long} samples fits into training.max_sample_tokens ({parameters.max_sample_tokens})",
                "raise it in twin.yaml",
            )
        for canary in canaries(author_name, parameters.canaries):
            train_set.add(canary.encoded(tokenizer, author_name))
            ids.append(canary.id)
        if parameters.general:
            mixed = general_rows(
                tokenizer, Path(parameters.general), train_set.tokens, parameters.general_share, limits[1]
            )
            log(f"{len(mixed)} general samples between {len(train_set)} of the author")
            for row in mixed:
                train_set.add(row)
        return cls(train_set, validation, too_long, tokenizer.pad_token_id, ids)

    def task(self, base: Path, dtype: str, parameters: TrainingSettings, checkpoints: Path) -> TrainingTask:
        """A training on it."""
        planted = [place for place, each in enumerate(self.ids) if is_canary(each)]
        order = with_all(in_whole_steps(within_budget(self.train, parameters), parameters), planted)
        learned = [self.ids[place] for place in order.distinct if place < len(self.ids)]
        return TrainingTask(
            base=base,
            dtype=dtype,
            train=order,
            validation=watched(self.validation, self.train, parameters),
            too_long=self.too_long,
            parameters=parameters,
            checkpoints=checkpoints,
            pad_id=self.pad_id,
            learned=sorted(learned, key=lambda each: (not is_canary(each), each))[:RECORDED],
        )


def _task(
    context: PipesContext, backend: Backend, settings: Settings, parameters: TrainingSettings, checkpoints: Path
) -> TrainingTask:
    extra = context.get_extra
    base = Path(extra("base_folder"))
    tokenizer = backend.tokenizer(base)
    asked = Path(extra("dataset_folder")), tokenizer, extra("author_name"), parameters
    task = EncodedDataset.read(*asked, context.log.info).task(base, settings.models.dtype, parameters, checkpoints)
    return replace(task, looks=looks_at(*asked, task.learned))


def _preference_task(
    context: PipesContext, backend: Backend, settings: Settings, parameters: TrainingSettings, checkpoints: Path
) -> TrainingTask:
    extra = context.get_extra
    base, chosen = Path(extra("base_folder")), parameters.dpo
    tokenizer = backend.tokenizer(base)
    pairs = stream_pairs(Path(extra("pairs_folder")))
    split = encode_pairs(tokenizer, pairs, extra("author_name"), parameters.max_answering_tokens)
    if not split.train:
        raise TrainingError(
            f"none of {split.too_long} pairs fits into training.max_answering_tokens "
            f"({parameters.max_answering_tokens})",
            "raise it in twin.yaml, or set training.dpo.enabled to false",
        )
    batch = max(1, parameters.batch_size // 2)
    changes = {
        "learning_rate": chosen.learning_rate,
        "epochs": chosen.epochs,
        "token_budget": None,
        "batch_size": batch,
        "gradient_accumulation": max(1, parameters.batch_size * parameters.gradient_accumulation // batch),
    }
    pace = parameters.model_copy(update=changes)
    read = len(split.train) * pace.epochs
    if read < batch * pace.gradient_accumulation:
        shared = max(parameters.group, read - read % parameters.group)
        pace = pace.model_copy(update={"batch_size": 1, "gradient_accumulation": shared})
    learned = learned_by(Path(extra("start_folder")))
    return TrainingTask(
        base=base,
        dtype=settings.models.dtype,
        train=in_whole_steps(within_budget(split.train, pace), pace),
        validation=watched(split.validation, split.train, pace),
        too_long=split.too_long,
        parameters=pace,
        checkpoints=checkpoints,
        pad_id=tokenizer.pad_token_id,
        start=Path(extra("start_folder")),
        objective=PreferenceObjective(chosen.beta),
        learned=learned,
        looks=looks_at(Path(extra("dataset_folder")), tokenizer, extra("author_name"), pace, learned),
    )


def _backend(context: PipesContext, group: Group) -> Backend:
    """The back end of this job, which has to be chosen before anything imports transformers."""
    extra = context.get_extra
    return chosen(
        TrainingSettings(**extra("parameters")),
        base=Path(extra("base_folder")),
        dtype=load(extra("config")).models.dtype,
        workdir=Path(extra("workdir")),
        log=context.log.info,
        group=group,
    )


def _recorded(context: PipesContext, parameters: TrainingSettings, there: Memory) -> dict[str, Any]:
    """What MLflow is told of a training: what it learns with, over which base, by which code, and where."""
    extra = context.get_extra
    return {
        **parameters.model_dump(exclude={"search"}),
        "base": extra("base"),
        "hyperparameters": extra("hyperparameters"),
        "training_code": extra("code_version"),
        "prompt_code": prompt.CODE_VERSION,
        "hardware": hardware(there.device),
    }


def _expected(
    context: PipesContext, settings: Settings, task: TrainingTask, there: Memory, group: Group
) -> Forecast | None:
    """How long it will take by what was measured before, and says so."""
    kind = "dpo" if task.start else "sft"
    known = pasts(author_engine(settings, context.get_extra("author")), context.get_extra("base"), kind)
    found = forecast(
        known,
        task.tokens,
        here=hardware(there.device),
        processes=group.size,
        quantization=task.parameters.quantization,
    )
    unknown = "no training of this base was measured on this machine, so how long this one takes shows its first steps"
    context.log.info(f"this training takes {found.told(task.parameters.price)}" if found else unknown)
    return found


def _took(
    parameters: TrainingSettings, spent: Spent, there: Memory, group: Group, expected: Forecast | None
) -> dict[str, Any]:
    """What a training came to, by which later ones are forecast."""
    seconds, price = spent.seconds, parameters.price
    found = {"seconds": round(seconds, 1), "hardware": hardware(there.device), "processes": group.size}
    found |= {"expected_seconds": round(expected.seconds, 1)} if expected else {}
    return found | ({"cost": round(price.of(seconds), 4), "currency": price.currency} if price else {})


def _tracking_run(context: PipesContext, tracking: Tracking, recorded: Mapping[str, Any], file: Path) -> str:
    """The MLflow run of this training, the same one when it goes on after a kill."""
    if not file.exists():
        extra = context.get_extra
        tags = {"twin.author": extra("author"), "twin.dataset": extra("dataset_id"), "twin.version": extra("version")}
        file.write_text(tracking.start(extra("author"), extra("version"), recorded, tags))
    return file.read_text()


def _metrics(task: TrainingTask, trained: Trained) -> dict[str, Any]:
    validated, looked = trained.validation_losses, trained.looked
    found = {
        "train_samples": len(task.train),
        "train_tokens": task.tokens,
        "samples_too_long": task.too_long,
        "steps": trained.steps,
        "train_loss": round(trained.loss, 4),
        "validation_loss_base": round(validated[0], 4),
        "validation_loss": round(validated[-1], 4),
        "train_seconds": round(trained.seconds, 1),
        "resumed": trained.resumed,
        "batch_size": trained.batch_size,
    }
    if looked:
        found["looks_seconds"] = round(looked.seconds, 1)
        found |= {"recited_beyond_held_out": round(looked.recited[-1].excess, 4)} if looked.recited else {}
        found |= {"stopped": looked.stopped} if looked.stopped else {}
    return found


if __name__ == "__main__":
    end_with_parent()
    code = 0
    warnings.simplefilter("ignore")
    logging.getLogger().setLevel(logging.ERROR)
    processes = Group.here()
    with open_dagster_pipes(message_writer=None if processes.first else Unheard()) as pipes:
        try:
            pipes.report_custom_message(train(pipes, _backend(pipes, processes), processes))
        except TrainingError as error:
            pipes.log.error(str(error))
            code = _INTERRUPTED if isinstance(error, Interrupted) else 1
    sys.exit(code)
