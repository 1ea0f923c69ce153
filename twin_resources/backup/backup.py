"""A backup of everything that cannot be made again, taken while the twin serves; and the way back from it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twin_resources.backup.databases import BackupError, dump, figures, is_empty, load, snapshot
from twin_resources.config.settings import Settings
from twin_resources.database import postgres
from twin_resources.storage.artifacts import ArtifactStore

FORMAT = 1
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
    """

    format: int
    at: str
    files: Mapping[str, str]
    tables: Mapping[str, list[str]]
    artifacts: list[str]


def back_up(settings: Settings, target: Path, say: Said = lambda _: None) -> Manifest:
    """Write a backup into a new folder. Servers, runs and readers may go on meanwhile: the database is read as it stood
    at one moment, and artifacts never change.

    Raises:
        BackupError: the folder is there, or something cannot be read.
    """
    if target.exists():
        raise BackupError(f"{target} exists; name a folder that does not")
    staging = target.with_name(f".{target.name}.{os.getpid()}")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        (staging / "databases").mkdir(parents=True)
        found = postgres.databases(settings.postgres)
        with snapshot(found.twin) as (session, name):
            say("the database")
            dump(found.twin, staging / "databases" / "twin.dump", seen_as=name)
            tables = figures(session)
            addresses = sorted(row[0] for row in session.execute(_ARTIFACTS).fetchall() if row[0])
        for name, url in (("dagster", found.dagster), ("mlflow", found.mlflow)):
            say(f"the records of {name}")
            dump(url, staging / "databases" / f"{name}.dump")
        store = ArtifactStore.of(settings)
        kept = [address for address in addresses if store.exists(address)]
        for number, address in enumerate(kept, 1):
            say(f"artifact {number} of {len(kept)}: {address}")
            shutil.copytree(store.folder(address), staging / "artifacts" / address)
        if (settings.home / "mlflow").is_dir():
            shutil.copytree(settings.home / "mlflow", staging / "mlflow")
        if settings.config and settings.config.exists():
            shutil.copyfile(settings.config, staging / "twin.yaml")
        files = dict(_digests(staging))
        manifest = Manifest(FORMAT, datetime.now(UTC).isoformat(), files, tables, kept)
        (staging / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")
        staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return manifest


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
    found = postgres.create(settings.postgres)
    named = {"twin": found.twin, "dagster": found.dagster, "mlflow": found.mlflow}
    for name, url in named.items():
        if not is_empty(url):
            raise BackupError(f"the database {url.database} for {name} is not empty; restore into an empty place")
    for name, url in named.items():
        say(f"the database of {name}" if name != "twin" else "the database")
        load(url, folder / "databases" / f"{name}.dump")
    with postgres.connection(found) as session:
        came = figures(session)
    wrong = sorted(table for table in manifest.tables if came.get(table) != manifest.tables[table])
    if wrong:
        raise BackupError(f"what came back differs in {', '.join(wrong)}; make sure that nothing else uses the place")
    store = ArtifactStore.of(settings)
    for number, address in enumerate(manifest.artifacts, 1):
        say(f"artifact {number} of {len(manifest.artifacts)}: {address}")
        kind, _, _ = address.rpartition("/")
        if store.put(kind, folder / "artifacts" / address) != address:
            raise BackupError(f"artifact {address} has another content than its name says")
    if (folder / "mlflow").is_dir():
        shutil.copytree(folder / "mlflow", settings.home / "mlflow", dirs_exist_ok=True)
    postgres.prepare(settings.postgres)
    return manifest


def _digests(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = path.relative_to(folder).as_posix()
        if name != MANIFEST:
            with path.open("rb") as file:
                yield name, hashlib.file_digest(file, "sha256").hexdigest()
