"""Fixtures for every test: where small data of our own lies, and where real data lies for whoever has it."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import signal
import tempfile
import uuid
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, BrowserType, sync_playwright
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.engine import URL

from twin_assets_tests.support import site
from twin_assets_tests.support.crawler import Crawler
from twin_assets_tests.support.databases import Lending
from twin_assets_tests.support.graph import Graph
from twin_assets_tests.support.replica import Replica
from twin_assets_tests.support.servers import pgbouncer, postgres_server
from twin_assets_tests.support.tiny_models import TinyModels, shallow_embedder
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.database.postgres import Databases
from twin_resources.database.schema import metadata
from twin_resources.models import hub
from twin_resources.retrieval.embedder import Embedder
from twin_resources.storage.warehouse import Warehouse
from twin_serving.processes.doctor import chromium

_ROOM = 12 * 2**30
"""Free bytes of memory from which on databases are kept there: four workers fill some 2 GB, and their tests more."""
_engines: weakref.WeakSet[sa.Engine] = weakref.WeakSet()
"""The engines of this process that were connected."""


@event.listens_for(sa.Engine, "engine_connect")
def _remember(connection: sa.Connection) -> None:
    _engines.add(connection.engine)


def pytest_configure() -> None:
    """Heed Ctrl-C also where a shell started the tests in the background: Dagster does with SIGTERM what is done with
    SIGINT, so that no process started by a test would end when it is told to. Import tests without looking for garbage,
    of which there is none then. Give clients no authorities: each would read all of the web's, which takes twenty
    milliseconds, and no test speaks HTTPS."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.disable()
    os.environ.pop("SSL_CERT_FILE", None)
    os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent / "data")


def pytest_collection_finish() -> None:
    """Look for garbage from now on, and not among what was imported."""
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    """Look for garbage once in the end; pytest would do it five times."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first, so that no worker waits for one alone. Skip what needs a program where there is none, and
    say so; with ``CI=true`` such a test fails instead."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    if os.environ.get("CI") == "true":
        return
    for marker, found, package in (("browser", chromium(), "chromium"), ("pooler", pgbouncer(), "pgbouncer")):
        for item in items if not found else ():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=f"no {package}; `apt-get install {package}` brings it"))


@pytest.fixture(scope="session")
def data() -> Path:
    """Small fixtures of our own, one folder a platform."""
    return Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real exports and dumps, kept beside the project and never inside it."""
    path = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"needs the real data, which is not shipped: {path}")
    return path


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """An embedded Postgres of its own for the whole run, which need not survive a power cut: in memory where there is
    room, since making a database is mostly making files. Its folder is short, as the path of a socket has to be."""
    memory = Path("/dev/shm")
    free = (psutil.virtual_memory().available, shutil.disk_usage(memory).free) if memory.is_dir() else (0,)
    with tempfile.TemporaryDirectory(prefix="twin-test-", dir=memory if min(free) > _ROOM else None) as home:
        settings = Settings(home=Path(home))
        url = postgres.databases(settings.postgres).twin.set(database="postgres")
        options = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "300"}
        options |= {"max_wal_size": "96MB", "min_wal_size": "32MB", "autovacuum": "off", "jit": "off"}
        with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as session:
            for option, value in options.items():
                session.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(option), value))
        postgres.stop(settings.postgres)
        postgres.databases(settings.postgres)
        yield settings
        postgres.stop(settings.postgres)


@pytest.fixture(scope="session")
def lending(server: Settings) -> Lending:
    """The databases of ``server``, which tests borrow."""
    url = postgres.databases(server.postgres).twin.set(database="migrated")
    migrated = server.model_copy(update={"database_url": SecretStr(url.render_as_string(hide_password=False))})
    postgres.prepare(migrated.postgres)
    return Lending(url, "migrated")


@pytest.fixture(scope="session")
def settings_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Settings]:
    """Makes settings of a database, with a home of their own and two authors."""

    def make(url: URL, **changes: Any) -> Settings:
        values: dict[str, Any] = {
            "authors": [
                {"id": "ada", "name": "Ada Berg", "consent": "These accounts are mine. 2026-11-21"},
                {"id": "bo", "name": "Bo Lind", "consent": "These accounts are mine. 2026-11-21"},
            ],
            "home": tmp_path_factory.mktemp("home"),
            "database_url": url.render_as_string(hide_password=False),
            "dagster_port": 9,
            "mlflow_port": 9,
        }
        return Settings(**{**values, **changes})

    return make


@pytest.fixture(scope="module")
def new_settings(lending: Lending, settings_of: Callable[..., Settings]) -> Iterator[Callable[..., Settings]]:
    """Makes settings with a database that nobody has after them; ``blank`` is one without the schema."""
    made: list[URL] = []

    def make(*, blank: bool = False, **changes: Any) -> Settings:
        made.append(lending.make(blank=blank))
        return settings_of(made[-1], **changes)

    yield make
    for url in made:
        _leave(url)
        lending.drop(url)


@pytest.fixture
def settings(lending: Lending, settings_of: Callable[..., Settings]) -> Iterator[Settings]:
    """Settings with an empty database, which the next test gets when this one has closed it."""
    url = lending.lend()
    yield settings_of(url)
    _leave(url)
    lending.take_back(url)


def _leave(url: URL) -> None:
    """Close this process's connections to a database and to those beside it."""
    found = Databases(url)
    names = {found.twin.database, found.dagster.database, found.mlflow.database}
    for engine in [each for each in _engines if each.url.database in names]:
        engine.dispose()


@pytest.fixture
def engine(settings: Settings) -> Iterator[sa.Engine]:
    """The migrated, empty database of ``settings``."""
    found = postgres.engine(postgres.prepare(settings.postgres))
    yield found
    found.dispose()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """A server that speaks S3 over HTTP; returns its address."""
    from moto.server import ThreadedMotoServer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()


@pytest.fixture
def s3_settings(s3_server: str, server: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings whose artifacts lie in a bucket of their own."""
    import boto3

    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    bucket = f"twin-{uuid.uuid4().hex[:12]}"
    boto3.client("s3", endpoint_url=s3_server).create_bucket(Bucket=bucket)
    changes = {"artifacts_url": f"s3://{bucket}/twin", "s3_endpoint_url": s3_server, "home": tmp_path / "home"}
    return server.model_copy(update=changes)


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], TinyModels]:
    """Makes the tiny models of a family once; see :class:`TinyModels`."""

    @functools.cache
    def make(family: str) -> TinyModels:
        return TinyModels.build(family, tmp_path_factory.mktemp(family))

    return make


@pytest.fixture(scope="session")
def shallow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged embedding model with fewer layers."""
    packaged = Settings()
    folder = tmp_path_factory.mktemp("embedding") / "shallow"
    return shallow_embedder(hub.resolve(packaged.models.embedding, packaged), folder)


@pytest.fixture(scope="module")
def new_graph(
    new_settings: Callable[..., Settings],
    shallow: Path,
    tiny_models: Callable[[str], TinyModels],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Graph]:
    """Makes the graphs of a tiny model and an embedding model of fewer layers; see :class:`Graph`."""

    def make(essays: int, *, embedded: bool = False) -> Graph:
        url = new_settings().database_url
        assert url
        folder = tmp_path_factory.mktemp("graph")
        database = None if embedded else url.get_secret_value()
        return Graph(folder, database, tiny_models("llama").base, shallow, essays)

    return make


@pytest.fixture(scope="module")
def second() -> Iterator[URL]:
    """A second database server, besides the one that all tests share."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def replica_server() -> Iterator[Replica]:
    """The server behind ``replica``, started once."""
    with Replica() as started:
        yield started


@pytest.fixture
def replica(replica_server: Replica) -> Replica:
    """All platforms on loopback, with accounts that a test may change and faults that it may order."""
    replica_server.reset()
    return replica_server


@pytest.fixture(scope="session")
def crawled(lending: Lending, settings_of: Callable[..., Settings]) -> Iterator[tuple[Settings, sa.Engine]]:
    """One database for all crawls: making one takes longer than a crawl."""
    settings = settings_of(lending.make())
    engine = postgres.engine(postgres.prepare(settings.postgres))
    yield settings, engine
    engine.dispose()


@pytest.fixture
def crawl(crawled: tuple[Settings, sa.Engine], replica: Replica, tmp_path: Path) -> Crawler:
    """Reads sources of the author ``ada`` from the replica into an empty warehouse."""
    settings, engine = crawled
    with engine.begin() as session:
        session.execute(sa.text(f"TRUNCATE {', '.join(metadata.tables)} CASCADE"))
    collection = settings.collection.model_copy(
        update={"routes": replica.routes, "delay_seconds": 0.0, "attempts": 2, "contact": "https://ada.example"}
    )
    changed = settings.model_copy(update={"collection": collection, "config": tmp_path / "twin.yaml"})
    warehouse = Warehouse(engine)
    warehouse.record_author(changed.author("ada"))
    return Crawler(warehouse, changed, replica, [])


@pytest.fixture(scope="module")
def browsers() -> Iterator[BrowserType]:
    """What starts Chromium. Playwright keeps an event loop running in this thread: it ends before the next module."""
    with sync_playwright() as playwright:
        yield playwright.chromium


@pytest.fixture
def browser(browsers: BrowserType) -> Iterator[Browser]:
    """A real Chromium of the test's own: in one that other tests used before, a page does not always get its key
    presses beside other work."""
    opened = browsers.launch(
        executable_path=chromium(), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    )
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    """The packaged MiniLM."""
    return site.packaged_embedder()


@pytest.fixture(scope="session")
def tiny(tiny_models: Callable[[str], TinyModels]) -> TinyModels:
    """Tiny models of the Llama family."""
    return tiny_models("llama")


@pytest.fixture(scope="session")
def seed(embedder: Embedder) -> Callable[[Settings], sa.Engine]:
    """Prepares a database and writes Ada's documents, passages and vectors into it."""
    return functools.partial(site.seed, embedder=embedder)
