"""Whether new documents become a new champion by themselves: ``python -m benchmarks.continuous``.

``twin run`` builds the twin of a small author on a model of some thousand parameters. Under a real ``twin up`` a
person, whom the benchmark plays, approves the first adapter. Then documents are posted to the API, and nobody does
anything until a new candidate stands there, which the person approves. Meanwhile readers ask twice a second. Every
stage has to run once, nothing may run afterwards, no request may fail, and the lineage of the new adapter has to lead
to what was posted. In the second part the same happens with an interpreter for trainings that fails: it has to stop
there, the product has to say so, and the champion has to go on answering. It prints Markdown for docs/results.md
and ends with 1 where anything was not so.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.home import RELEASE, TRAINING, Home
from benchmarks.observation import Observer, Readers, Step
from twin_assets_tests.support import essays
from twin_assets_tests.support.tiny_models import TinyModels, shallow_embedder
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.models import hub

ESSAYS = 48
"""Documents of the author before: of as many, three and more are held out, which the gate asks for."""
POSTED = 8
"""Documents of one change; five make a dataset version due."""
STAGES = (
    *("raw/api", "clean/articles", "chunks/articles", "embeddings/articles"),
    *("datasets/instruct", "datasets/retrieval", "datasets/preference"),
    *("models/reranker", "models/sft_adapter", "models/dpo_adapter"),
    *("reports/retrieval", "reports/silence", "reports/answers", "reports/generation", "reports/style"),
    *("release/candidate", "release/champion"),
)
"""What one change has to run, each once; of the other stages none twice."""
_LIMIT = 1800.0
"""Seconds after which a change does not get through."""
_SETTLED = 120.0
"""So long without a run and nothing is on its way: the sensors look every half minute."""
FAILING = "/bin/false"
"""An interpreter with which every training fails."""
_SECTIONS: dict[str, dict[str, Any]] = {
    "training": {**TRAINING, "max_sample_tokens": 512},
    "release": {**RELEASE, "approval": "manual", "max_style_loss": 10.0, "max_copied": 1.0},
    "evaluation": {"style_documents": 4, "style_tokens": 96},
    "answers": {"generated": 2},
}


class Person:
    """What a person does over the API."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._client = httpx.Client(base_url=home.api, timeout=120, trust_env=False)

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """What the API says.

        Raises:
            httpx.HTTPError: it does not answer, or with an error.
        """
        return self._client.get(path, params=parameters).raise_for_status().json()

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What the API says to a body; raises as :meth:`get`."""
        return self._client.post(path, json=body).raise_for_status().json()

    def version(self, alias: str) -> str | None:
        """The version that has an alias; a candidate only where the gate let it through."""
        releases = self.get("/releases", author=self.home.author)["releases"]
        return next((each["version"] for each in releases if alias in each["aliases"] and each["passed"]), None)

    def candidate(self, after: str | None) -> str | None:
        """The candidate, where it is another one than ``after``."""
        found = self.version("candidate")
        return found if found != after else None

    def approve(self, version: str) -> None:
        """Let a version answer."""
        self.post(f"/releases/{version}/approve", {"by": "benchmark", "comment": "the gate let it through"})

    def answering(self) -> str | None:
        """The version that writes."""
        body = {"query": "Write about the harbour.", "mode": "write", "max_tokens": 4}
        return self.post("/ask", body)["model"]["adapter"]

    def add(self, first: int) -> list[str]:
        """Post essays and return their addresses."""
        documents = [
            {
                "url": f"https://mira.example/harbour-{number}",
                "title": f"Essay {number}",
                "markdown": essays.essay(number, 3),
                "published_at": "2026-11-29",
            }
            for number in range(first, first + POSTED)
        ]
        done = self.post("/documents", {"author": self.home.author, "documents": documents})
        if done["accepted"] != POSTED:
            raise SystemExit(f"the API did not take all documents: {done}")
        return [each["url"] for each in documents]


class Findings:
    """What was asked for, and whether it was so."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, bool]] = []

    def add(self, asked: str, found: str, *, good: bool) -> None:
        """One line."""
        self.rows.append((asked, found, good))

    @property
    def good(self) -> bool:
        """Whether everything was so."""
        return all(good for *_, good in self.rows)

    def markdown(self) -> str:
        """A table."""
        lines = (f"| {asked} | {found} | {'yes' if good else 'NO'} |" for asked, found, good in self.rows)
        return "\n".join(("| asked | found | so |", "|---|---|---|", *lines))


def say(message: str) -> None:
    """Progress, beside the result."""
    print(f"{datetime.now(UTC):%H:%M:%S} {message}", file=sys.stderr, flush=True)


def until(condition: Callable[[], Any], what: str, seconds: float = _LIMIT) -> Any:
    """What the condition gives once it gives something; what does not answer yet gives nothing."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(Exception):
            if found := condition():
                return found
        time.sleep(1)
    raise SystemExit(f"{what} did not come within {seconds:.0f} s")


def settled(home: Home) -> None:
    """Wait until nothing has been on its way for a while."""
    since = time.monotonic()
    end = since + _LIMIT
    while time.monotonic() - since < _SETTLED:
        if home.unfinished():
            since = time.monotonic()
        if time.monotonic() > end:
            raise SystemExit(f"runs did not end within {_LIMIT:.0f} s")
        time.sleep(2)


def change(home: Home, person: Person, before: str, quiet: float, found: Findings) -> str:
    """Post documents, wait for the candidate that follows, approve it, and judge all that was seen; its version."""
    with Observer(home) as observer, Readers(home.api) as readers:
        began = datetime.now(UTC)
        urls = person.add(first=100)
        say(f"{POSTED} documents posted")
        version = until(lambda: person.candidate(before), "a new candidate")
        say(f"{version} is the candidate")
        settled(home)
        approved = datetime.now(UTC)
        person.approve(version)
        until(lambda: person.answering() == version, "the new champion's first answer", 120)
        say(f"{version} answers")
        time.sleep(5)
        steps = observer.steps()
        mark = observer.mark()
        time.sleep(quiet)
        late = observer.planned(mark)
    switched = readers.first(version)
    print(_table(steps, began, approved, switched, version))
    counts = Counter(step.stage for step in steps)
    wrong = {stage: counts[stage] for stage in {*STAGES, *counts} if counts[stage] != (stage in STAGES or 1)}
    found.add("every stage ran once", f"{len(counts)} stages" if not wrong else _named(wrong), good=not wrong)
    failures = observer.failures()
    found.add("no stage failed", _named(failures) if failures else "none", good=not failures)
    found.add(f"nothing ran in the {quiet:.0f} s after", ", ".join(late) or "nothing", good=not late)
    versions = readers.versions()
    found.add(
        "the champion before answered until the switch, and no request failed",
        f"{readers.asked} requests, {len(readers.failed)} failed; "
        + ", ".join(f"{k}: {n}" for k, n in versions.items()),
        good=not readers.failed and list(versions) == [before, version],
    )
    _lineage(person, version, urls, found)
    return version


def _lineage(person: Person, version: str, urls: Sequence[str], found: Findings) -> None:
    answer = person.post("/ask", {"query": "Write about the harbour.", "mode": "write", "max_tokens": 4})
    back = person.get("/lineage", trace_id=answer["trace_id"])["adapter"]
    trained_on = {each["url"] for each in back["dataset"]["documents"]} & set(urls)
    forward = [person.get("/lineage", url=url)["documents"][0] for url in urls]
    named = {each["url"] for each in forward if version in [adapter["version"] for adapter in each["adapters"]]}
    found.add(
        "lineage of the new adapter leads to what was posted, and back",
        f"{len(trained_on)} of {len(urls)} documents were trained on, the others held out",
        good=back["version"] == version and bool(trained_on) and trained_on == named,
    )


def broken(home: Home, person: Person, champion: str, found: Findings) -> None:
    """Post documents where the training has to fail, and judge what is said and done of it."""
    home.configure("training", python=FAILING)
    with Observer(home) as observer, Readers(home.api) as readers:
        person.add(first=200)
        say(f"{POSTED} documents posted; trainings run with {FAILING}")
        until(lambda: "models/sft_adapter" in observer.failures(), "the failure of the training")
        settled(home)
        failures = observer.failures()
        after = [s.stage for s in observer.steps() if s.stage.startswith(("models/sft", "models/dpo", "release"))]
        status = json.loads(home.say("status", "--json"))
        alerts = until(lambda: json.loads(home.say("alerts", "--json")), "an alert", 180)
        ready = person.get("/readyz")
        time.sleep(5)
    found.add(
        "the training fails, and is tried again once", _named(failures), good=failures == {"models/sft_adapter": 2}
    )
    found.add("nothing after it ran", ", ".join(after) or "nothing", good=not after)
    failed = [each for each in status["orchestration"]["failed"] if each["author"] == home.author]
    found.add("`twin status` says so", _short(failed), good="models/sft_adapter" in str(failed))
    told = [each["text"] for each in alerts if each["rule"] == "failed_run"]
    found.add("`twin alerts` says so", _short(told), good="models/sft_adapter" in str(told))
    found.add("`GET /readyz` says so", _short(ready["warnings"]), good="models/sft_adapter" in str(ready["warnings"]))
    found.add(
        "the champion went on answering, and no request failed",
        f"{readers.asked} requests, {len(readers.failed)} failed; answered by {', '.join(readers.versions())}",
        good=not readers.failed and list(readers.versions()) == [champion] and person.version("champion") == champion,
    )


def _short(said: object) -> str:
    return str(said)[:300].replace("\n", " ").replace("|", "/")


def _named(counts: dict[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items())


def _table(steps: Sequence[Step], began: datetime, approved: datetime, switched: datetime | None, version: str) -> str:
    """The stages in the order in which they were done."""
    lines = ["| stage | s after the change | run | version |", "|---|---|---|---|"]
    for step in steps:
        after = (step.at - began).total_seconds()
        lines.append(f"| {step.stage} | {after:.0f} | {step.run[:8]} | {step.version[:24]} |")
    lines.append(f"| approved by a person | {(approved - began).total_seconds():.0f} | | {version} |")
    if switched:
        lines.append(f"| first answer of the new champion | {(switched - began).total_seconds():.0f} | | {version} |")
    return "\n".join(lines) + "\n"


def _first(home: Home, person: Person) -> str:
    """Wait for the first candidate and approve it; the version that answers."""
    version = until(lambda: person.candidate(None), "the first candidate")
    person.approve(version)
    until(lambda: person.answering() == version, "the first champion's answer", 120)
    say(f"{version} is the first champion")
    settled(home)
    return version


def prove(folder: Path, quiet: float, *, fail: bool) -> bool:
    """Do it all in a folder; whether everything was as it has to be."""
    base = TinyModels.build("llama", folder / "model").base
    packaged = Settings(home=folder)
    embedding = shallow_embedder(hub.resolve(packaged.models.embedding, packaged), folder / "embedding")
    home = Home(folder / "home", base, embedding, essays=ESSAYS, **_SECTIONS)
    person, found = Person(home), Findings()
    if home.start("run").wait():
        raise SystemExit(f"the first run failed:\n{home.log.read_text()[-4000:]}")
    say("the first adapter is trained")
    up = home.start("up")
    try:
        until(lambda: person.get("/healthz"), "the API", 300)
        say("the API is up")
        first = _first(home, person)
        second = change(home, person, first, quiet, found)
        if fail:
            broken(home, person, second, found)
    finally:
        up.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            up.wait(60)
        postgres.stop(home.settings.postgres)
        print(found.markdown())
    return found.good


def main() -> None:
    """Prove it, and end with 1 where something was not so."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.continuous", description=__doc__)
    parser.add_argument("--quiet", type=float, default=120, help="seconds in which nothing may run afterwards")
    parser.add_argument("--no-failure", action="store_true", help="leave out the second part")
    parser.add_argument("--keep", action="store_true", help="leave the home for a look at its logs")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    with contextlib.ExitStack() as stack:
        made = Path(tempfile.mkdtemp(prefix="twin-continuous-"))
        if not chosen.keep:
            stack.callback(shutil.rmtree, made, ignore_errors=True)
        load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
        print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores ({platform.machine()}), load {load}\n")
        good = prove(made, chosen.quiet, fail=not chosen.no_failure)
    if not good:
        sys.exit(1)


if __name__ == "__main__":
    main()
