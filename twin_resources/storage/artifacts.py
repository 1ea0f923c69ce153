"""Immutable, content-addressed folders: datasets, adapters and reports.

The address of an artifact is ``<kind>/<hash>``, with the hash taken over the names and bytes of its files, so the same
content is stored once and can be checked. Any fsspec store will do: a folder, or S3 with the ``s3`` extra.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import fsspec

from twin_resources.config.settings import Settings
from twin_resources.errors import TwinError

_SEAL = ".sealed"


class ArtifactError(TwinError):
    """An artifact is missing or damaged."""


def folder_hash(folder: Path) -> str:
    """SHA-256 over the relative names and contents of all files of a folder, as 24 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _SEAL):
        name = path.relative_to(folder).as_posix().encode()
        digest.update(len(name).to_bytes(8, "big") + name)
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
        digest.update(content)
    return digest.hexdigest()[:24]


class ArtifactStore:
    """Keeps folders under their content hash and hands them back as local folders."""

    def __init__(self, url: str, cache: Path, storage_options: dict | None = None) -> None:
        self.url = url.rstrip("/")
        self.cache = cache
        # Listings that are kept go stale: another machine writes and deletes here, too.
        self.files, self.root = fsspec.core.url_to_fs(self.url, use_listings_cache=False, **(storage_options or {}))
        self.is_local = "file" in (
            self.files.protocol if isinstance(self.files.protocol, tuple) else (self.files.protocol,)
        )

    @classmethod
    def of(cls, settings: Settings) -> ArtifactStore:
        """The store that the settings name."""
        options = settings.s3_options if settings.artifacts.startswith("s3://") else {}
        return cls(settings.artifacts, settings.home / "cache", options)

    def put(self, kind: str, folder: Path) -> str:
        """Store a folder and return its address; a seal is written last, so half an artifact is never found."""
        address = f"{kind}/{folder_hash(folder)}"
        if self.exists(address):
            return address
        target = f"{self.root}/{address}"
        if self.is_local:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=Path(target).parent, prefix=".writing-") as staging:
                copy = Path(staging) / "artifact"
                shutil.copytree(folder, copy)
                (copy / _SEAL).touch()
                if Path(target).exists():
                    shutil.rmtree(target)
                os.replace(copy, target)
        else:
            self.files.put(f"{folder}/", f"{target}/", recursive=True)
            self.files.pipe_file(f"{target}/{_SEAL}", b"")
        return address

    def exists(self, address: str) -> bool:
        """Whether a complete artifact has this address."""
        return self.files.exists(f"{self.root}/{address}/{_SEAL}")

    def addresses(self) -> dict[str, datetime]:
        """Every complete artifact with the time at which it was sealed."""
        found = {}
        for seal in self.files.glob(f"{self.root}/**/{_SEAL}"):
            address = str(seal).removeprefix(f"{self.root}/").removesuffix(f"/{_SEAL}")
            if not any(part.startswith(".") for part in address.split("/")):
                found[address] = self.files.modified(seal).astimezone(UTC)
        return found

    def delete(self, address: str) -> None:
        """Delete an artifact and its local copy, the seal first; nothing happens where there is none."""
        target = f"{self.root}/{address}"
        if address and self.files.exists(target):
            if self.files.exists(f"{target}/{_SEAL}"):
                self.files.rm_file(f"{target}/{_SEAL}")
            self.files.rm(target, recursive=True)
        if address:
            shutil.rmtree(self.cache / address, ignore_errors=True)

    def folder(self, address: str) -> Path:
        """A local folder with the artifact; downloads it once where the store is remote.

        Raises:
            ArtifactError: no artifact of this address, or its content does not match its hash.
        """
        if not self.exists(address):
            raise ArtifactError(f"no artifact {address} in {self.url}; run the asset that makes it again")
        if self.is_local:
            return Path(f"{self.root}/{address}")
        local = self.cache / address
        if not local.exists():
            local.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=local.parent, prefix=".fetching-") as staging:
                copy = Path(staging) / "artifact"
                self.files.get(f"{self.root}/{address}/", f"{copy}/", recursive=True)
                if folder_hash(copy) != address.rsplit("/", 1)[-1]:
                    raise ArtifactError(f"artifact {address} in {self.url} is damaged: its content has another hash")
                os.replace(copy, local)
        return local
