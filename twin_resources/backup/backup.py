"""A backup of everything that cannot be made again, taken while the twin serves; and the way back from it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twin_resources.backup.databases import BackupError, dump, figures, is_empty, load, snapshots
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.database.shards import MAIN
from twin_resources.storage.artifacts import ArtifactStore

FORMAT = 2
MANIFEST = "manifest.json"
LEFT_OUT = "models, caches, unfinished trainings, browser sign-ins, keys and secrets, the files you collect"
_ARTIFACTS = (
    """SELECT artifact FROM dataset_version UNION SELECT artifact FROM adapter UNION SELECT artifact FROM report"""
)

Said = Callable[[str], None]


@dataclass(frozen=True)
class Manifest:
    """What a backup holds.

    Attributes:
        at: when it was taken.
        files: SHA-256 of each file, by its path in the backup.
        tables: rows and hash of each table of our database, see :func:`.databases.figures`.
        artifacts: their addresses, which are hashes of their content.
        shards: as ``tables``, of each further database in which authors live, by its name.
    """

    format: int
    at: str
    files: Mapping[str, str]
    tables: Mapping[str, list[str]]
    artifacts: list[str]
    shards: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)

    @property
    def of_each(self) -> dict[str, Mapping[str, list[str]]]:
        """``tables`` of every database by its name, that of :data:`~.shards.MAIN` first."""
        return {MAIN: self.tables, **self.shards}


def back_up(settings: Settings, target: Path, say: Said = lambda _: None) -> Manifest:
    """Write a backup into a new folder. Servers, runs and readers may go on meanwhile: each database is read as it
    stood at one moment, between which no author moved from one to another, and artifacts never change.

    Raises:
        BackupError: the folder is there, or something cannot be read.
    """
    if target.exists():
        raise BackupError(f"{target} exists; name a folder that does not")
    staging = target.with_name(f".{target.name}.{os.getpid()}")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        (staging / "databases" / "shards").mkdir(parents=True)
        found = {name: postgres.databases(address) for name, address in settings.addresses.items()}
        tables, addresses = {}, set[str]()
        with snapshots({name: each.twin for name, each in found.items()}) as seen:
            for name, (session, moment) in seen.items():
                say(_named(name))
                dump(found[name].twin, staging / _dumped(name), seen_as=moment)
                tables[name] = figures(session)
                addresses |= {row[0] for row in session.execute(_ARTIFACTS).fetchall() if row[0]}
        main = found[MAIN]
        for name, url in (("dagster", main.dagster), ("mlflow", main.mlflow)):
            say(f"the records of {name}")
            dump(url, staging / "databases" / f"{name}.dump")
        store = ArtifactStore.of(settings)
        kept = [address for address in sorted(addresses) if store.exists(address)]
        for number, address in enumerate(kept, 1):
            say(f"artifact {number} of {len(kept)}: {address}")
            shutil.copytree(store.folder(address), staging / "artifacts" / address)
        if (settings.home / "mlflow").is_dir():
            shutil.copytree(settings.home / "mlflow", staging / "mlflow")
        if settings.config and settings.config.exists():
            shutil.copyfile(settings.config, staging / "twin.yaml")
        files = dict(_digests(staging))
        manifest = Manifest(FORMAT, datetime.now(UTC).isoformat(), files, tables.pop(MAIN), kept, tables)
        (staging / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")
        staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return manifest


def _dumped(name: str) -> str:
    """Where a backup keeps a database of ours."""
    return "databases/twin.dump" if name == MAIN else f"databases/shards/{name}.dump"


def _named(name: str) -> str:
    return "the database" if name == MAIN else f"the database {name}"


def read(folder: Path) -> Manifest:
    """The manifest of a backup all of whose files are as they were written.

    Raises:
        BackupError: it is none, of a newer version, or damaged.
    """
    try:
        told: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest = Manifest(**told)
    except (OSError, ValueError, TypeError):
        raise BackupError(f"{folder} is no backup: it has no readable {MANIFEST}") from None
    if manifest.format > FORMAT:
        raise BackupError(f"{folder} was made by a newer version; upgrade first")
    found = dict(_digests(folder))
    wrong = sorted(path for path, digest in manifest.files.items() if found.get(path) != digest)
    if wrong:
        more = f" and {len(wrong) - 1} more files" if len(wrong) > 1 else ""
        raise BackupError(f"{folder} is damaged: {wrong[0]}{more} are missing or changed")
    return manifest


def restore(settings: Settings, folder: Path, say: Said = lambda _: None) -> Manifest:
    """Fill an empty home and empty databases from a backup, and compare what came with what was written.

    Raises:
        BackupError: the backup is damaged, the place is not empty, or something did not come back as it was.
    """
    manifest = read(folder)
    if unknown := sorted(set(manifest.shards) - set(settings.addresses)):
        told = " and ".join(f"TWIN_SHARDS__{name.upper()}" for name in unknown)
        raise BackupError(f"it has authors in {', '.join(unknown)}; name an empty database for each in {told}")
    found = {name: postgres.create(settings.addresses[name]) for name in manifest.of_each}
    named = {_dumped(name): (_named(name), each.twin) for name, each in found.items()}
    for name, url in (("dagster", found[MAIN].dagster), ("mlflow", found[MAIN].mlflow)):
        named[f"databases/{name}.dump"] = f"the database of {name}", url
    for what, url in named.values():
        if not is_empty(url):
            raise BackupError(f"{what}, {url.database}, is not empty; restore into an empty place")
    for file, (what, url) in named.items():
        say(what)
        load(url, folder / file)
    for name, tables in manifest.of_each.items():
        with postgres.connection(found[name]) as session:
            came = figures(session)
        if wrong := sorted(table for table in tables if came.get(table) != tables[table]):
            told = ", ".join(wrong)
            raise BackupError(f"what came back in {name} differs in {told}; make sure that nothing else uses the place")
    store = ArtifactStore.of(settings)
    for number, address in enumerate(manifest.artifacts, 1):
        say(f"artifact {number} of {len(manifest.artifacts)}: {address}")
        kind, _, _ = address.rpartition("/")
        if store.put(kind, folder / "artifacts" / address) != address:
            raise BackupError(f"artifact {address} has another content than its name says")
    if (folder / "mlflow").is_dir():
        shutil.copytree(folder / "mlflow", settings.home / "mlflow", dirs_exist_ok=True)
    for address in settings.addresses.values():
        postgres.prepare(address)
    return manifest


def _digests(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = path.relative_to(folder).as_posix()
        if name != MANIFEST:
            with path.open("rb") as file:
                yield name, hashlib.file_digest(file, "sha256").hexdigest()
