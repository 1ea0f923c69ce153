"""Samples written with a language model: the instruction is the model's, the answer the author's own passage.

Of a question the model writes the answer too, and it is taken only where the passage supports every sentence of it.
What the model wrote is kept by the hash of model, prompt version, kind and passage, so a run that was interrupted goes
on where it stopped and ends with the same samples.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import get_args

from twin_assets.dataset.generators.base import OwnPassage
from twin_assets.dataset.generators.prompts import MAX_TOKENS, PROMPT_VERSION, TASKS, Kind, parts, turns
from twin_assets.dataset.samples import CITED, QUESTION, InstructSample
from twin_resources.config.datasets import GeneratedKind, GeneratorSettings
from twin_resources.generation.base import GeneratorError
from twin_resources.generation.completions import Completions, Unanswered
from twin_resources.rag.support import plain, support
from twin_resources.storage.samples.responses import Response, Responses
from twin_resources.text.identity import content_id, share_of
from twin_resources.text.sentences import sentences
from twin_resources.text.words import grams, plain_words

MOST_COPIED = 0.3
"""Share of the answer's 5-grams that an instruction may give away; of what is to be rewritten twice as many."""
_REWRITE = "Rewrite this in your own words and manner:\n\n{plain}"
_SHORTEST_REWRITE = 0.3
_FEWEST_WORDS = 3
_HOPELESS = 8
"""Requests in a row without an answer after which no more are sent."""
_STEPS = 20
_KINDS: tuple[GeneratedKind, ...] = get_args(GeneratedKind)
_ASKS: tuple[GeneratedKind, ...] = (QUESTION, CITED)
"""Kinds that stand beside the sample that the passage is the answer of."""


class Unusable(Exception):
    """Why a response makes no sample; the reason is counted."""


@dataclass(frozen=True)
class Job:
    """One sample that is wanted of a passage, or an instruction (``said``) in other words; ``id`` is what its response
    is kept under."""

    id: str
    kind: Kind
    passage: OwnPassage
    said: str = ""


@dataclass
class Usage:
    """What a run took: requests that were answered now, responses that were there, and the tokens paid for now."""

    requests: int = 0
    kept: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def cost(self, rules: GeneratorSettings) -> float | None:
        """In the currency of the prices; None where none are configured."""
        if rules.input_price is None and rules.output_price is None:
            return None
        paid = self.prompt_tokens * (rules.input_price or 0) + self.completion_tokens * (rules.output_price or 0)
        return round(paid / 1_000_000, 6)


class LanguageModel:
    """Samples by a language model; see :class:`~twin_assets.dataset.generators.base.SampleGenerator`.

    Args:
        progress: told in words how far it is, some twenty times.
    """

    def __init__(
        self, server: Completions, responses: Responses, rules: GeneratorSettings, progress: Callable[[str], None]
    ) -> None:
        self.server = server
        self.responses = responses
        self.rules = rules
        self.usage = Usage()
        self._progress = progress

    @property
    def made_by(self) -> dict[str, object]:
        """For the manifest: what decides what is written."""
        targets = {kind: count for kind, count in sorted(self.rules.targets.items()) if count}
        return {"generator": "llm", "model": self.server.model, "prompt": PROMPT_VERSION, "targets": targets}

    def generate(self, passages: Sequence[OwnPassage], dropped: Counter[str]) -> Iterator[InstructSample]:
        """The samples, in the order of passages; reasons begin with ``generator_``.

        Raises:
            GeneratorError: the server refuses everything, or is away; what it wrote until then is kept.
        """
        jobs = plan(passages, self.rules.targets, self.server.model)
        written = self._written(jobs, dropped)
        seen: set[str] = set()
        for job in jobs:
            if job.id not in written:
                continue
            try:
                sample = read(job, written[job.id].content)
                said = " ".join(plain_words(sample.instruction))
                if said in seen:
                    raise Unusable("repeated")
            except Unusable as reason:
                dropped[f"generator_{reason}"] += 1
                continue
            seen.add(said)
            yield sample

    def rephrase(
        self, samples: Sequence[InstructSample], passages: Mapping[str, OwnPassage], dropped: Counter[str]
    ) -> Mapping[str, str]:
        """Instructions in other words; see :class:`~twin_assets.dataset.generators.base.Rephrase`. What stands below an
        instruction stays below it.

        Raises:
            GeneratorError: as for samples.
        """
        jobs = {
            each.id: _job("paraphrase", passages[each.chunk_ids[0]], self.server.model, _head(each.instruction))
            for each in samples
        }
        written = self._written(list(jobs.values()), dropped)
        found: dict[str, str] = {}
        for sample in samples:
            job = jobs[sample.id]
            if job.id not in written:
                continue
            try:
                found[sample.id] = reworded(job, written[job.id].content) + sample.instruction[len(job.said) :]
            except Unusable as reason:
                dropped[f"generator_{reason}"] += 1
        return found

    def _written(self, jobs: Sequence[Job], dropped: Counter[str]) -> Mapping[str, Response]:
        """Responses by id, the missing ones asked for a few at a time and kept as they come."""
        found = self.responses.find([job.id for job in jobs])
        missing = {job.id: job for job in jobs if job.id not in found}
        self.usage.kept += len(found)
        step = max(1, len(missing) // _STEPS)
        in_a_row = 0
        refused = threading.Event()
        executor = ThreadPoolExecutor(self.rules.concurrency, thread_name_prefix="generator")
        try:
            asked: dict[Future[Response], str] = {
                executor.submit(self._ask, job, refused): job_id for job_id, job in missing.items()
            }
            for done, future in enumerate(as_completed(asked), 1):
                try:
                    found[asked[future]] = self._counted(future.result())
                    in_a_row = 0
                except CancelledError:  # another request was refused, which is told when it is its turn
                    continue
                except Unanswered as error:
                    dropped[f"generator_{error.failure}"] += 1
                    in_a_row += 1
                    if in_a_row >= _HOPELESS and error.failure != "refused":
                        raise GeneratorError(
                            f"{in_a_row} requests in a row were not answered; the last: {error}",
                            "run it again once the server answers; what it wrote is kept and not paid for again",
                        ) from error
                if done % step == 0 or done == len(missing):
                    self._progress(f"language model: {done} of {len(missing)} written, {self._spent()}")
        finally:
            refused.set()
            executor.shutdown(cancel_futures=True)
        return found

    def _ask(self, job: Job, refused: threading.Event) -> Response:
        """One response, kept. Where one request was refused as all would be, no further one is sent."""
        if refused.is_set():
            raise CancelledError
        schema, messages = TASKS[job.kind].schema, turns(job.kind, job.passage, job.said)
        try:
            said = self.server.ask(messages, name=job.kind, schema=schema, max_tokens=MAX_TOKENS)
        except Unanswered:
            raise
        except GeneratorError:
            refused.set()
            raise
        response = Response(said.text, said.prompt_tokens, said.completion_tokens)
        self.responses.keep(job.id, job.passage.chunk.document_id, response)
        return response

    def _counted(self, response: Response) -> Response:
        self.usage.requests += 1
        self.usage.prompt_tokens += response.prompt_tokens
        self.usage.completion_tokens += response.completion_tokens
        return response

    def _spent(self) -> str:
        cost = self.usage.cost(self.rules)
        tokens = f"{self.usage.prompt_tokens + self.usage.completion_tokens:,} tokens"
        return tokens if cost is None else f"{tokens}, {cost:.4f}"


def plan(passages: Sequence[OwnPassage], targets: Mapping[GeneratedKind, int], model: str) -> list[Job]:
    """What is asked for: of each passage at most one sample that it is the answer of, and at most one
    question of either kind.

    Kinds are drawn by the hash of the passage, in proportion to their targets, so a passage keeps its kind while others
    come and go.
    """
    wanted: dict[GeneratedKind, list[int]] = {kind: [] for kind in _KINDS}
    for index, passage in enumerate(passages):
        if kind := _kind(passage, targets):
            wanted[kind].append(index)
    for kind in _ASKS:
        wanted[kind] = [place for place, passage in enumerate(passages) if parts(kind, passage)[1]]
    chosen: list[tuple[int, GeneratedKind]] = []
    for kind, places in wanted.items():
        drawn = sorted(places, key=lambda place: share_of(f"{kind}/{passages[place].chunk.id}"))
        chosen.extend((place, kind) for place in drawn[: targets.get(kind, 0)])
    return [
        _job(kind, passages[place], model)
        for place, kind in sorted(chosen, key=lambda each: (each[0], _KINDS.index(each[1])))
    ]


def read(job: Job, content: str) -> InstructSample:
    """The sample that a response makes.

    Raises:
        Unusable: it is no JSON, not of the schema, empty, gives the answer away, is too short, or is not supported or
            no copy.
    """
    said = _fields(job.kind, content)
    given, own = parts(job.kind, job.passage)
    if job.kind == QUESTION:
        answer = said["answer"]
        found = [answer[start:end] for start, end in sentences(answer)] or [answer]
        if not all(not plain(each) or support(each, [own]).supported for each in found):
            raise Unusable("ungrounded")
        return job.passage.sample(QUESTION, said["question"], answer)
    if job.kind == CITED:
        copied = _where(said["answer"], own)
        if not copied:
            raise Unusable("not_copied")
        return job.passage.sample(CITED, said["question"], copied)
    words = said["plain" if job.kind == "rewrite" else "instruction"]
    most = 2 * MOST_COPIED if job.kind == "rewrite" else MOST_COPIED
    answer = grams(own)
    if answer and len(answer & grams(words)) > most * len(answer):
        raise Unusable("copied")
    if job.kind == "rewrite":
        if len(words.split()) < _SHORTEST_REWRITE * len(own.split()):
            raise Unusable("incomplete")
        words = _REWRITE.format(plain=words)
    return job.passage.sample(job.kind, f"{words}\n\n{given}" if given else words, own)


def reworded(job: Job, content: str) -> str:
    """The instruction of a job in the words of a response.

    Raises:
        Unusable: it is no JSON, not of the schema, empty, the same again, gives the answer away, or loses what the
            instruction quotes or counts.
    """
    words = _fields("paraphrase", content)["instruction"]
    if plain_words(words) == plain_words(job.said):
        raise Unusable("repeated")
    answer = grams(job.passage.text) - grams(job.said)
    if answer and len(answer & grams(words)) > MOST_COPIED * len(answer):
        raise Unusable("copied")
    kept = [*re.findall(r"“([^”]+)”", job.said), *re.findall(r"\d+", job.said)]
    if not all(each in words for each in kept):
        raise Unusable("lost")
    return words


def _head(instruction: str) -> str:
    """An instruction without the text that stands below it."""
    return instruction.partition("\n\n")[0]


def _where(words: str, own: str) -> str:
    """The part of a passage that ``words`` are a copy of, whatever the white space; empty where there is none."""
    found = re.search(r"\s+".join(re.escape(word) for word in words.split()), own)
    return found.group() if found else ""


def _fields(kind: Kind, content: str) -> dict[str, str]:
    """The strings of a response, whether or not they stand in a fence or among other words."""
    text = re.sub(r"\A\s*<think>.*?</think>", "", content, flags=re.S)
    if not text.strip():
        raise Unusable("empty")
    start, end = text.find("{"), text.rfind("}")
    try:
        found = json.loads(text[start : end + 1] if 0 <= start < end else text)
    except (ValueError, RecursionError):
        raise Unusable("broken_json") from None
    names = TASKS[kind].fields
    if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in names):
        raise Unusable("wrong_schema")
    values = {name: found[name].strip() for name in names}
    if any(len(plain_words(value)) < _FEWEST_WORDS for value in values.values()):
        raise Unusable("empty")
    return values


def _kind(passage: OwnPassage, targets: Mapping[GeneratedKind, int]) -> GeneratedKind | None:
    """The kind that a passage may be the answer of; None where no such kind is wanted."""
    able: list[GeneratedKind] = [
        kind for kind in _KINDS if kind not in _ASKS and targets.get(kind) and parts(kind, passage)[1]
    ]
    place = share_of(f"kind/{passage.chunk.id}") * sum(targets[kind] for kind in able)
    for kind in able:
        place -= targets[kind]
        if place < 0:
            return kind
    return None


def _job(kind: Kind, passage: OwnPassage, model: str, said: str = "") -> Job:
    chunk = passage.chunk
    shown = (chunk.title, *chunk.heading, passage.text, *([said] if said else []))
    return Job(content_id("generated", model, PROMPT_VERSION, kind, chunk.document_id, *shown), kind, passage, said)
