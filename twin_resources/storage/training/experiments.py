"""Trainings side by side: what each learned with and from, what came of it, and in what they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from twin_resources.database.schema import adapter, dataset_version, release, report
from twin_resources.errors import TwinError
from twin_resources.storage.inventory.paging import Paging, Part, Place

_KINDS = ("answers", "gate", "generation", "style")
_SUPPORT = "adapter + passages"
"""The arm of the answers' report that a licence rests on."""
_FACTS = {
    "base": "base",
    "kind": "kind",
    "dataset": "dataset_id",
    "hyper-parameters": "origin",
    "code": "code",
    "hardware": "hardware",
    "processes": "processes",
    "library": "backend",
}
"""What besides hyper-parameters trainings may differ in: its name, and the member that holds it."""


class NoExperiment(TwinError):
    """A training that was asked for is none of the author's."""


@dataclass(frozen=True)
class Span:
    """A figure with its 95% interval, where one was measured."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Point:
    """Where a curve stands at a ``step``: the loss of training, that of validation, or both, in nats a token."""

    step: int
    loss: float | None = None
    validation_loss: float | None = None


@dataclass(frozen=True)
class SampleText:
    """What the adapter answered to a held-out ``question`` at the end, and how its author's ``own`` answer begins."""

    question: str
    text: str
    own: str


@dataclass(frozen=True)
class Experiment:
    """One training and what was measured of its adapter; what is None was not measured, or not written down then.

    ``held_out_loss`` is in nats a token and ``gain`` how far it lies below the base's, as a share; ``style`` is 0 for
    other people's writing and 1 for the author's own; ``support`` the share of sentences with support that it writes
    from passages; ``memorised`` the words that it recites of what it was trained on, beyond base and held-out texts.
    """

    version: str
    author: str
    kind: str
    base: str
    created_at: datetime
    aliases: tuple[str, ...]
    retired_because: str | None
    dataset_id: str
    dataset_made_at: datetime
    dataset_samples: int | None
    parameters: Mapping[str, Any]
    origin: str | None
    code: str | None
    backend: str | None
    hardware: str | None
    processes: int | None
    seconds: float | None
    cost: float | None
    currency: str | None
    stopped: str | None
    curve: Sequence[Point]
    validation_loss: float | None
    held_out_loss: float | None
    gain: Span | None
    style: Span | None
    support: Span | None
    memorised: Span | None
    texts: Sequence[SampleText]
    passed: bool | None
    failed: Sequence[str]


class Experiments:
    """The trainings of one author."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def part(self, author_id: str, paging: Paging) -> Part[Experiment]:
        """One page of them, the newest first."""
        query = paging.of(_ADAPTERS.where(adapter.c.author == author_id), adapter.c.created_at, adapter.c.version)
        return paging.cut(self._found(query), lambda each: Place(each.created_at, each.version))

    def named(self, author_id: str, versions: Sequence[str]) -> Sequence[Experiment]:
        """Those of these versions, in their order.

        Raises:
            NoExperiment: the author has no such version.
        """
        query = _ADAPTERS.where(adapter.c.author == author_id, adapter.c.version.in_(versions))
        found = {each.version: each for each in self._found(query)}
        if missing := [each for each in versions if each not in found]:
            raise NoExperiment(f"no version {missing[0]!r}; `twin candidates` lists them")
        return [found[each] for each in dict.fromkeys(versions)]

    def _found(self, query: sa.Select) -> Sequence[Experiment]:
        with self.engine.connect() as session:
            rows = session.execute(query).all()
            measured = _reports(session, [row.version for row in rows])
        return [_experiment(row, {kind: measured.get((row.version, kind), {}) for kind in _KINDS}) for row in rows]


_ADAPTERS = sa.select(
    *(adapter.c[name] for name in ("version", "author", "kind", "base", "created_at", "retired_because", "dataset_id")),
    adapter.c.parameters,
    adapter.c.metrics,
    dataset_version.c.created_at.label("dataset_made_at"),
    dataset_version.c.manifest["samples"].label("samples"),
    sa.select(sa.func.array_agg(release.c.alias))
    .where(release.c.version == adapter.c.version)
    .scalar_subquery()
    .label("aliases"),
).join(dataset_version, dataset_version.c.id == adapter.c.dataset_id)


def _reports(session: sa.Connection, versions: Sequence[str]) -> Mapping[tuple[str, str], Mapping[str, Any]]:
    """Figures of the newest report of each kind on each version."""
    query = (
        sa.select(report.c.subject, report.c.kind, report.c.metrics)
        .ext(distinct_on(report.c.subject, report.c.kind))
        .where(report.c.subject.in_(versions), report.c.kind.in_(_KINDS))
        .order_by(report.c.subject, report.c.kind, report.c.created_at.desc())
    )
    return {(row.subject, row.kind): row.metrics for row in session.execute(query)}


def _experiment(row: Any, measured: Mapping[str, Mapping[str, Any]]) -> Experiment:
    figures, generation, gate = row.metrics, measured["generation"], measured["gate"]
    known = {
        name: figures.get(name)
        for name in ("backend", "hardware", "processes", "seconds", "cost", "currency", "stopped", "validation_loss")
    }
    memorised = generation.get("memorisation") or {}
    style = measured["style"].get("arms", {}).get("adapter", {})
    support = measured["answers"].get("arms", {}).get(_SUPPORT, {}).get("support") or {}
    return Experiment(
        version=row.version,
        author=row.author,
        kind=row.kind,
        base=row.base,
        created_at=row.created_at,
        aliases=tuple(sorted(row.aliases or ())),
        retired_because=row.retired_because,
        dataset_id=row.dataset_id,
        dataset_made_at=row.dataset_made_at,
        dataset_samples=row.samples if isinstance(row.samples, int) else None,
        parameters=row.parameters,
        origin=figures.get("hyperparameters"),
        code=figures.get("training_code"),
        **known,
        curve=[Point(*each) for each in figures.get("curve", ())],
        held_out_loss=generation.get("loss", {}).get(row.version),
        gain=_span(generation.get("gain"), generation.get("gain_interval")),
        style=_span(style.get("score"), (style.get("low"), style.get("high"))),
        support=_span(support.get("share"), (support.get("low"), support.get("high"))),
        memorised=_span(memorised.get("excess"), memorised.get("interval")),
        texts=[SampleText(each["question"], each["text"], each["own"]) for each in figures.get("texts", ())],
        passed=bool(gate.get("passed")) if gate else None,
        failed=list(gate.get("failed", ())),
    )


def _span(value: float | None, interval: Sequence[float | None] | None) -> Span | None:
    if value is None:
        return None
    low, high = interval or (None, None)
    return Span(value, low, high)


def differences(compared: Sequence[Experiment]) -> Mapping[str, Sequence[Any]]:
    """What trainings were made with that is not the same in all of them: the values of each, in their order.

    A setting that one of them does not have, because it came later or was left out, is None there.
    """
    settings = [
        {**_flat(each.parameters), **{name: getattr(each, member) for name, member in _FACTS.items()}}
        for each in compared
    ]
    names = dict.fromkeys(name for each in settings for name in each)
    rows = {name: [each.get(name) for each in settings] for name in names}
    return {name: values for name, values in rows.items() if any(value != values[0] for value in values)}


def _flat(parameters: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = value
    return found
