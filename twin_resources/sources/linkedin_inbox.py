"""An inbox for LinkedIn's data export: a folder or an S3 prefix that the member drops each new export into."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import fsspec

from twin_resources.errors import SourceError
from twin_resources.readers.archives import MAX_TOTAL_BYTES
from twin_resources.sources.base import Category, Item, Skipped, Source
from twin_resources.sources.linkedin import LinkedInExport
from twin_resources.sources.registry import source


@dataclass(frozen=True)
class Dropped:
    """A file in an inbox; ``stamp`` changes when the file does."""

    name: str
    path: str
    size: int
    stamp: str


@source
class LinkedInInbox(Source):
    """The newest export of an inbox; the older ones are passed over, since each export holds everything.

    The location is a folder, or an address such as ``s3://bucket/exports`` (with the extra ``s3``). The sensor
    ``collection`` starts a reading when something new lies there.
    """

    kind: ClassVar[str] = "linkedin_inbox"
    platform: ClassVar[str] = "linkedin"
    categories: ClassVar[tuple[Category, ...]] = ("articles", "posts")
    format: ClassVar[str] = ""
    watched: ClassVar[bool] = True
    options_allowed: ClassVar[tuple[str, ...]] = ("comments",)

    def read(self) -> Iterator[Item]:
        """Yield what the newest export holds, and one item for each older one.

        Raises:
            SourceError: the inbox cannot be read, or the newest file is no export.
        """
        dropped = self.dropped()
        if not dropped:
            return
        for file in dropped[:-1]:
            yield Skipped(file.name, "older_export")
        newest = dropped[-1]
        if newest.size > MAX_TOTAL_BYTES:
            raise SourceError(f"{newest.path}: larger than an export is; not read")
        with tempfile.TemporaryDirectory(prefix="twin-inbox-") as folder:
            copy = Path(folder) / newest.name
            self._files().get_file(newest.path, str(copy))
            yield from LinkedInExport(str(copy), self.author, self.options).read()

    def dropped(self) -> list[Dropped]:
        """The exports in the inbox, oldest first.

        Raises:
            SourceError: the inbox cannot be listed.
        """
        try:
            files = self._files()
            root = files._strip_protocol(self.location)
            listed = files.ls(root, detail=True) if files.exists(root) else None
        except (OSError, ValueError, ImportError) as problem:
            raise SourceError(f"{self.location}: the inbox cannot be read: {problem}") from None
        if listed is None:
            raise SourceError(f"{self.location}: no such folder; make it, and drop LinkedIn's export (zip) into it")
        found = []
        for entry in listed:
            name = str(entry["name"]).rstrip("/").rpartition("/")[2]
            if entry.get("type") == "file" and name.lower().endswith((".zip", ".csv")) and not name.startswith("."):
                changed = entry.get("mtime") or entry.get("LastModified") or entry.get("ETag") or ""
                found.append(Dropped(name, str(entry["name"]), int(entry.get("size") or 0), str(changed)))
        return sorted(found, key=lambda file: (file.stamp, file.name))

    def fingerprint(self) -> str:
        """What lies in the inbox, as a text that changes when something is dropped or replaced."""
        return "\n".join(f"{file.name} {file.size} {file.stamp}" for file in self.dropped())

    def _files(self) -> fsspec.AbstractFileSystem:
        protocol = self.location.partition("://")[0] if "://" in self.location else "file"
        # A listing that is kept would hide what is dropped later from a process that lives for weeks.
        return fsspec.filesystem(protocol, use_listings_cache=False)
