"""Which model answers for an author, and changing it without a gap.

A thread follows the alias ``champion`` of each author: it loads the new adapter, has it write one token, switches, and
keeps the one before for a rollback. Answers that are being written end on the adapter they began with. The alias
``canary`` is followed in the same way; its version answers a share of the conversations.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio.to_thread
import httpx

from twin_resources.config.settings import Settings
from twin_resources.database.shards import about, rows_of_each
from twin_resources.generation.base import EngineState, Generator, NotLoaded, QueueFull, Turns
from twin_resources.generation.embedded import EmbeddedGenerator
from twin_resources.generation.openai import OpenAIGenerator
from twin_resources.generation.pool import EnginePool
from twin_resources.network.authorities import authorities
from twin_resources.rag import prompt
from twin_resources.storage.artifacts import ArtifactStore
from twin_resources.storage.keys import key_of_ours
from twin_resources.storage.releases import Canary, Release, Releases, Standing
from twin_serving.answering.adapters import Adapters, AnswerStream, AsyncAnswerStream
from twin_serving.answering.errors import NotReady, UnknownModel

log = logging.getLogger(__name__)

BASE = "base"
ALIASES = ("champion", "previous", "candidate", "canary")
PROBES = 15
"""A server that is full at every poll judges no adapter: after so many refusals a loaded one takes over unprobed."""
_AGAIN_SECONDS = 30.0
_PROBE = ({"role": "user", "content": prompt.user_message("Are you there?")},)


@dataclass(frozen=True)
class Served:
    """What answers for an author: an adapter version, None for the base; ``problem`` keeps a newer one from it, and
    ``canary_problem`` the version on canary from its share."""

    version: str | None
    problem: str | None
    canary_problem: str | None = None


@dataclass(frozen=True)
class Speaker:
    """The adapter that answers a conversation, None for the base, and where the conversation fell when the share of a
    canary was drawn; ``draw`` is None where nothing was."""

    version: str | None
    draw: float | None = None


def _named(author: str, model: str | None) -> str | None:
    """What stands behind the ``@`` of a model's name; None where nothing does."""
    name = (model or "").strip()
    return None if name in ("", f"twin/{author}") else name.removeprefix(f"twin/{author}@")


def make_generator(settings: Settings) -> Generator:
    """The engine that the settings name: the server or servers of ``TWIN_ENGINE_URL`` where it is set, else this
    process."""
    match settings.engine_urls:
        case (url,):
            return OpenAIGenerator.at(url, settings, stop=prompt.STOP)
        case (_, *_) as urls:
            return EnginePool.of(settings, lambda: urls, stop=prompt.STOP)
    return EmbeddedGenerator.of(settings, render=prompt.render, stop=prompt.STOP)


class AnswerEngine:
    """Holds the generator and the champion of each author.

    Args:
        make: makes the generator, in the thread that :meth:`start` begins; None for no engine at all.
        poll_seconds: how often the aliases are looked at.
        keep: adapters kept loaded, champions and their predecessors besides.
    """

    def __init__(
        self,
        settings: Settings,
        releases: Releases,
        artifacts: ArtifactStore,
        make: Callable[[Settings], Generator] | None = make_generator,
        *,
        poll_seconds: float = 2.0,
        keep: int = 4,
    ) -> None:
        self.settings = settings
        self.releases = releases
        self._adapters = Adapters(releases, artifacts, keep)
        self._poll_seconds = poll_seconds
        self._generator: Generator | None = None
        self._reason: str | None = "the model is loading" if make else "the API was started without an engine"
        self._champions: dict[str, str | None] = {}
        self._before: dict[str, str | None] = {}
        self._canaries: dict[str, Canary] = {}
        self._problems: dict[str, str] = {}
        self._canary_problems: dict[str, tuple[str, str]] = {}
        self._refused: Counter[str] = Counter()
        self._unreported: dict[str, float] = {}
        self._reported: dict[str, tuple[str, dict[str, str]]] = {}
        self._said: dict[str, str] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, args=(make,), name="engine", daemon=True) if make else None

    def start(self) -> None:
        """Load the model and follow the champions, in a thread."""
        if self._thread:
            self._thread.start()

    def stop(self) -> None:
        """Cancel what is being written and let go of the model."""
        self._stopped.set()
        if self._generator:
            self._generator.close()
        if self._thread and self._thread.is_alive():
            self._thread.join(timeout=10)

    def unready(self) -> str | None:
        """Why no answer can be written, or None."""
        return self._reason

    @property
    def base(self) -> str:
        """Name of the base model."""
        return self._generator.base if self._generator else self.settings.models.base

    def champion(self, author: str) -> str | None:
        """The adapter that answers for an author now; None for the base."""
        return self._champions.get(author)

    def canary(self, author: str) -> Canary | None:
        """What answers a share of an author's conversations now."""
        return self._canaries.get(author)

    def serves(self, author: str, version: str) -> bool:
        """Whether a version answers readers now, be it a share of them."""
        canary = self._canaries.get(author)
        return version == self._champions.get(author) or (canary is not None and version == canary.version)

    def speaker(self, author: str, conversation: str) -> Speaker:
        """Who answers a conversation: the same in every process, for as long as the canary stays.

        Args:
            conversation: its id, or what stands for one where a client keeps the turns.
        """
        champion, canary = self._champions.get(author), self._canaries.get(author)
        if canary is None:
            return Speaker(champion)
        draw = canary.draw(conversation)
        return Speaker(canary.version if canary.answers(draw) else champion, draw)

    def hindrance(self, author: str, version: str) -> str | None:
        """What keeps a version that is on canary from answering; None where nothing does."""
        on_canary, problem = self._canary_problems.get(author, (None, None))
        return problem if on_canary == version else None

    def champions(self) -> dict[str, Served]:
        """For each author the adapter that answers, and what keeps a newer one or a canary from doing so."""
        return {
            author.id: Served(
                self._champions.get(author.id),
                self._problems.get(author.id),
                self._canary_problems.get(author.id, (None, None))[1],
            )
            for author in self.settings.authors
        }

    def waiting(self) -> int:
        """Answers that are being written or wait."""
        return self._generator.waiting() if self._generator else 0

    def engines(self) -> list[EngineState]:
        """The engines that are asked over the network, and what each serves."""
        return self._generator.engines() if self._generator else []

    def loaded(self) -> list[str]:
        """Adapters in the engine, the least recently used first."""
        return self._adapters.names()

    def choose(self, author: str, model: str | None) -> str | None:
        """The adapter version that ``model`` means for an author; None for the base.

        Args:
            model: ``twin/<author>``, with ``@`` and a version, an alias or ``base`` behind it, or only what stands
                behind the ``@``; None for the champion.

        Raises:
            UnknownModel: there is none of this name, it is another author's or of another base, or it is retired.
        """
        name = _named(author, model)
        if name == BASE:
            return None
        if name is None or name == "champion":
            return self._champions.get(author)
        known = {found.version: found for found in self.releases.list(author)}
        if name in ALIASES:
            found = next((found for found in known.values() if name in found.aliases), None)
            if found is None:
                raise UnknownModel(f"author {author!r} has no {name}; `GET /releases` lists what there is")
        elif name not in known:
            names = ", ".join([BASE, "champion", *list(known)[:10]])
            raise UnknownModel(f"no model {model!r} for author {author!r}; there are: {names}")
        else:
            found = known[name]
        if found.retired_because:
            raise UnknownModel(f"{found.version} is retired: {found.retired_because}")
        if problem := self._misfit(found):
            raise UnknownModel(problem)
        return found.version

    def chooses_at_once(self, author: str, model: str | None) -> bool:
        """Whether :meth:`choose` needs no database for this name."""
        return _named(author, model) in (None, BASE, "champion")

    def is_named(self, author: str, model: str | None) -> bool:
        """Whether a call names who is to answer; then no canary is drawn for it."""
        return _named(author, model) is not None

    def stream(
        self,
        turns: Turns,
        *,
        version: str | None,
        max_tokens: int,
        temperature: float,
        seed: int | None = None,
        stop: Sequence[str] = (),
    ) -> AnswerStream:
        """Start an answer with an adapter (None: the base), loading it where it is not yet.

        Raises:
            NotReady: the model is not loaded.
            GeneratorError: the engine is full or failed.
        """
        generator = self._ready()
        release = self._adapters.hold(version)
        try:
            for attempt in (1, 2):
                if version is not None:
                    self._adapters.load(generator, version)
                try:
                    stream = generator.stream(
                        turns, version=version, max_tokens=max_tokens, temperature=temperature, seed=seed, stop=stop
                    )
                    return AnswerStream(stream, version, release)
                except NotLoaded:
                    if attempt == 2 or version is None:
                        raise
            raise AssertionError("unreachable")
        except BaseException:
            release()
            raise

    async def astream(
        self,
        turns: Turns,
        *,
        version: str | None,
        max_tokens: int,
        temperature: float,
        seed: int | None = None,
        stop: Sequence[str] = (),
    ) -> AsyncAnswerStream:
        """:meth:`stream` for a reader in an event loop."""
        generator = self._ready()
        release = self._adapters.hold(version)
        try:
            for attempt in (1, 2):
                if version is not None and not self._adapters.has(generator, version):
                    await anyio.to_thread.run_sync(self._adapters.load, generator, version)
                try:
                    stream = await generator.astream(
                        turns, version=version, max_tokens=max_tokens, temperature=temperature, seed=seed, stop=stop
                    )
                    return AsyncAnswerStream(stream, version, release)
                except NotLoaded:
                    if attempt == 2 or version is None:
                        raise
            raise AssertionError("unreachable")
        except BaseException:
            release()
            raise

    def _ready(self) -> Generator:
        if self._generator is None or self._reason:
            raise NotReady("the engine", self._reason or "the model is loading")
        return self._generator

    def _misfit(self, release: Release) -> str | None:
        if release.base != self.base:
            return (
                f"{release.version} was trained over {release.base}, but the engine runs {self.base}; "
                "set `models: base:` accordingly or train again"
            )
        return None

    def _follow(self, make: Callable[[Settings], Generator]) -> None:
        while not self._stopped.is_set():
            try:
                generator = self._generator
                if generator is None:
                    start = time.monotonic()
                    generator = self._generator = make(self.settings)
                    log.info("the model %s is loaded, in %.1f s", self.base, time.monotonic() - start)
                reason = generator.unready()
                if reason is None:
                    found = {each.author: each for each in rows_of_each(self.settings, self.releases.standings)}
                    for author in self.settings.authors:
                        with about(author.id):
                            wanted = found.get(author.id, Standing(author.id))
                            self._switch(generator, author.id, wanted.champion)
                            self._follow_canary(generator, author.id, wanted.canary)
                    canaries = {each.version for each in self._canaries.values()}
                    kept = {*self._champions.values(), *self._before.values(), *canaries}
                    self._adapters.unload_idle(generator, kept)
                self._reason = reason
            except Exception as error:
                if not self._stopped.is_set():
                    self._say("engine", f"{type(error).__name__}: {error}")
                    if self._generator is None:
                        self._reason = f"the model does not load: {error}"
            self._note_engines()
            for author, due in list(self._unreported.items()):
                if time.monotonic() >= due and not self._stopped.is_set():
                    self._report(author)
            self._stopped.wait(self._poll_seconds)

    def _switch(self, generator: Generator, author: str, wanted: str | None) -> None:
        """Make the champion of the releases the one that answers."""
        serving = self._champions.get(author)
        if author in self._champions and wanted == serving:
            self._problems.pop(author, None)
            return
        if wanted is not None:
            try:
                problem = self._problem(generator, self.releases.get(wanted))
            except QueueFull:
                return
            if problem:
                self._problems[author] = problem
                self._say(author, problem)
                self._champions.setdefault(author, None)
                return
        self._problems.pop(author, None)
        self._before[author] = serving
        self._champions[author] = wanted
        self._unreported[author] = time.monotonic()
        log.info("%s now answers with %s (before: %s)", author, self._champions[author] or BASE, serving or BASE)

    def _follow_canary(self, generator: Generator, author: str, wanted: Canary | None) -> None:
        """Make the canary of the releases the one that answers its share, once it is loaded and has written a token."""
        serving = self._canaries.get(author)
        if wanted is None or wanted.version == self._champions.get(author):
            self._canary_problems.pop(author, None)
            if self._canaries.pop(author, None):
                log.info("%s has no canary any more", author)
            return
        if serving is None or serving.version != wanted.version:
            self._canaries.pop(author, None)
            try:
                problem = self._problem(generator, self.releases.get(wanted.version))
            except QueueFull:
                return
            if problem:
                self._canary_problems[author] = (wanted.version, problem)
                self._say(f"canary/{author}", f"it is on canary and not served: {problem}")
                return
            self._canary_problems.pop(author, None)
            self._said.pop(f"canary/{author}", None)
        if serving != wanted:
            log.info("%s answers %.1f%% of the conversations with %s", wanted.version, 100 * wanted.share, author)
        self._canaries[author] = wanted

    def _problem(self, generator: Generator, release: Release) -> str | None:
        """What keeps a version from answering; None where it answers.

        Raises:
            QueueFull: the engine has no place to try it now, and had one for it too often to go on without.
        """
        if problem := self._misfit(release):
            return problem
        try:
            self._probe(generator, release.version)
        except QueueFull:
            self._refused[release.version] += 1
            if self._refused[release.version] < PROBES:
                raise
        except Exception as error:
            return f"{release.version} does not answer: {error}"
        self._refused.pop(release.version, None)
        return None

    def _probe(self, generator: Generator, version: str) -> None:
        release = self._adapters.hold(version)
        try:
            self._adapters.load(generator, version)
            generator.probe(_PROBE, version)
        finally:
            release()

    def _serving(self, author: str) -> dict[str, str]:
        """What each engine has for an author, by address: the champion's version, the base, or why nothing."""
        version = self._champions.get(author)
        return {
            each.address: each.problem or (version if version in each.adapters else None) or BASE
            for each in self.engines()
        }

    def _note_engines(self) -> None:
        """Have Dagster told again where other engines than it knows serve a champion, at most every half minute."""
        for author, (version, serving) in self._reported.items():
            if version == (self._champions.get(author) or BASE) and serving != self._serving(author):
                self._unreported.setdefault(author, time.monotonic() + _AGAIN_SECONDS)

    def _report(self, author: str) -> None:
        """Tell Dagster what answers for an author now; tried again every half minute until Dagster is there."""
        version = self._champions.get(author) or BASE
        serving = self._serving(author)
        body = {
            "partition": author,
            "data_version": version,
            "metadata": {
                "version": version,
                "base": self.base,
                "previous": self._before.get(author) or BASE,
                **({"engines": serving} if serving else {}),
            },
            "description": f"{author} is served by {version}",
        }
        url = f"{self.settings.dagster_address}/report_asset_materialization/serving"
        try:
            key = key_of_ours(self.settings)
            sent = {
                "headers": {"Authorization": f"Bearer {key}"},
                "timeout": 2,
                "trust_env": False,
                "verify": authorities(),
            }
            response = httpx.post(url, params={"partition": author}, json=body, **sent)
            response.raise_for_status()
        except httpx.HTTPError as error:
            self._unreported[author] = time.monotonic() + _AGAIN_SECONDS
            self._say(f"dagster/{author}", f"Dagster was not told what serves {author}: {error}", logging.INFO)
            return
        self._unreported.pop(author, None)
        self._reported[author] = (version, serving)
        self._said.pop(f"dagster/{author}", None)

    def _say(self, about: str, message: str, level: int = logging.ERROR) -> None:
        """Log a problem when it is new, not at every poll."""
        if self._said.get(about) != message:
            self._said[about] = message
            log.log(level, "%s: %s", about, message)
