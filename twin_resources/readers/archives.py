"""A read-only look at an export, the same whether it is a folder, a zip or a single file.

Platforms hand out zips, people unpack them, and some unpack them twice into a folder of the same name. An
:class:`Archive` hides the difference, and refuses a zip that would harm the machine that opens it.
"""

from __future__ import annotations

import codecs
import gzip
import io
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

from lxml.html import HtmlElement

from twin_resources.errors import SourceError, TwinError
from twin_resources.text.markup import parse_html

MAX_TOTAL_BYTES = 2 * 1024**3
MAX_RATIO = 200
_RATIO_MATTERS_FROM = 1024**2
"""A member smaller than this may compress as well as it likes: it cannot fill a disk."""


class Unreadable(TwinError):
    """One member cannot be read: ``reason`` says why, ``remedy`` what the author can do."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class Archive:
    """The files of a folder, a zip or one file, by their relative names with ``/``. Use it in a ``with`` statement.

    Raises:
        SourceError: nothing is at ``path``, or it is a zip that is damaged, encrypted or unsafe (absolute or ``..``
            names, more than 2 GB unpacked, compressed more than 200 to 1).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        self._names: list[str] = []
        self._hidden: list[str] = []
        if path.is_dir():
            self._root = path
            self._walk()
        elif path.is_file() and zipfile.is_zipfile(path):
            self._root = path.parent
            self._open_zip()
        elif path.is_file() and path.suffix.lower() == ".zip":
            raise SourceError(f"{path}: not a zip file, or cut off while downloading; download the export again")
        elif path.is_file():
            self._root = path.parent
            self._names = [path.name]
        else:
            raise SourceError(f"{path}: no such file or folder")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._zip is not None:
            self._zip.close()

    def names(self) -> list[str]:
        """Every file that is not hidden, sorted."""
        return list(self._names)

    def hidden(self) -> list[str]:
        """The topmost hidden files and folders (``.git/``), sorted; their contents are not listed."""
        return list(self._hidden)

    def matching(self, pattern: str) -> list[str]:
        """Names that match ``pattern``, at the top or inside one enclosing folder; the shallowest first."""
        found = [
            name for name in self._names if fnmatchcase(name, pattern) or fnmatchcase(name.partition("/")[2], pattern)
        ]
        return sorted(found, key=lambda name: (name.count("/"), name))

    def size(self, name: str) -> int:
        """Bytes of ``name`` unpacked; 0 where it cannot be told."""
        if self._zip is not None:
            return self._zip.getinfo(name).file_size
        try:
            return (self._root / name).stat().st_size
        except OSError:
            return 0

    def read(self, name: str) -> bytes:
        """The bytes of ``name``.

        Raises:
            Unreadable: it is damaged, gone, not permitted, or a link that leads out of the folder.
        """
        try:
            if self._zip is not None:
                return self._zip.read(name)
            path = self._root / name
            if path.is_symlink() and not path.resolve().is_relative_to(self._root.resolve()):
                raise Unreadable("a link that leads out of the folder", "copy the file itself into the folder")
            return path.read_bytes()
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as problem:
            raise Unreadable(f"cannot be read: {problem}", "check the file, or download the export again") from problem

    def read_text(self, name: str) -> str:
        """The text of ``name``: UTF-8, or UTF-16 with its byte order mark.

        Raises:
            Unreadable: as :meth:`read`, or it is not text.
        """
        return decode(self.read(name))

    def read_page(self, name: str, remedy: str) -> HtmlElement:
        """The document tree of ``name``.

        Args:
            remedy: what the author can do where it is text, and no page.

        Raises:
            Unreadable: as :meth:`read_text`, or it is no page, see :func:`~twin_resources.text.markup.parse_html`.
        """
        try:
            return parse_html(self.read_text(name))
        except ValueError as problem:
            raise Unreadable(str(problem), remedy) from None

    def _walk(self) -> None:
        for folder, folders, files in os.walk(self._root, followlinks=False, onerror=self._refuse_unlisted):
            at = Path(folder).relative_to(self._root).as_posix()
            prefix = "" if at == "." else f"{at}/"
            self._hidden += [f"{prefix}{name}/" for name in folders if _is_hidden(name)]
            self._hidden += [f"{prefix}{name}" for name in files if _is_hidden(name)]
            self._names += [f"{prefix}{name}" for name in files if not _is_hidden(name)]
            folders[:] = [name for name in folders if not _is_hidden(name)]
        self._names.sort()
        self._hidden.sort()

    def _refuse_unlisted(self, problem: OSError) -> None:
        """A folder that cannot be listed may hold anything, so what lies in it must not count as gone."""
        raise SourceError(
            f"{problem.filename}: cannot be listed ({problem.strerror}); check its permissions and that it is mounted"
        )

    def _open_zip(self) -> None:
        try:
            archive = zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as problem:
            raise SourceError(f"{self.path}: the zip is damaged ({problem}); download the export again") from problem
        try:
            members = [member for member in archive.infolist() if not member.is_dir()]
            for member in members:
                self._refuse_unsafe(member)
            total = sum(member.file_size for member in members)
            packed = sum(member.compress_size for member in members)
            if total > MAX_TOTAL_BYTES:
                raise SourceError(f"{self.path}: unpacks to more than 2 GB; unpack it yourself and name the folder")
            if total > MAX_RATIO * max(packed, 1):
                raise SourceError(f"{self.path}: compressed more than {MAX_RATIO} to 1, as a zip bomb is; not opened")
        except BaseException:
            archive.close()
            raise
        self._zip = archive
        names = sorted({member.filename for member in members})
        self._hidden = [name for name in names if any(_is_hidden(part) for part in name.split("/"))]
        self._names = [name for name in names if name not in set(self._hidden)]

    def _refuse_unsafe(self, member: zipfile.ZipInfo) -> None:
        name = member.filename
        if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
            raise SourceError(f"{self.path}: holds the unsafe name {name!r}; this is no platform's export, not opened")
        if member.flag_bits & 1:
            raise SourceError(f"{self.path}: is encrypted; unpack it yourself and name the folder")
        if member.file_size > _RATIO_MATTERS_FROM and member.file_size > MAX_RATIO * max(member.compress_size, 1):
            raise SourceError(
                f"{self.path}: {name!r} is compressed more than {MAX_RATIO} to 1, as a zip bomb is; not opened"
            )


def decode(content: bytes) -> str:
    """``content`` as text: UTF-8 with or without byte order mark, or UTF-16 with one.

    Raises:
        Unreadable: it is neither, or holds NUL characters as binary files do.
    """
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as problem:
        where = f" (byte {problem.start})"
        raise Unreadable(f"not UTF-8 text{where}", "save it as UTF-8, or exclude it if it is not text") from problem
    if "\0" in text:
        raise Unreadable("binary: it holds NUL characters", "exclude it, or save it as UTF-8 text")
    return text


def is_storable(text: str) -> bool:
    """Whether a database can hold ``text``: no NUL, no half of a surrogate pair. Escapes in JSON can hide both."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether ``name`` or a folder above it matches a glob; a pattern without ``/`` is tried on each part alone.

    ``drafts``, ``drafts/*``, ``*.tmp`` and ``notes/private.md`` all mean what they say; ``*`` crosses ``/``.
    """
    path = PurePosixPath(name)
    for pattern in (pattern.removesuffix("/") for pattern in patterns):
        candidates = path.parts if "/" not in pattern else (name, *(str(parent) for parent in path.parents))
        if any(fnmatchcase(candidate, pattern) for candidate in candidates):
            return True
    return False


def patterns_of(options: object, key: str) -> tuple[str, ...]:
    """The globs of option ``key``, written as one string or a list.

    Raises:
        SourceError: the option is something else.
    """
    value = options.get(key) if isinstance(options, dict) else None
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple) and all(isinstance(pattern, str) for pattern in value):
        return tuple(value)
    raise SourceError(f"option {key!r}: expected a glob or a list of globs, not {value!r}")


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def unpack_tar(content: bytes, folder: Path, *, max_bytes: int = 512 * 1024**2, max_files: int = 50_000) -> Path:
    """Unpack a ``.tar.gz`` from a host into ``folder``: plain files only, nothing outside it, no links, no devices.

    Returns:
        The one folder that all of it lies in, as code hosts pack it, else ``folder``.

    Raises:
        Unreadable: it is damaged, or would harm the machine that unpacks it.
    """
    remedy = "nothing to do: the next collection tries again; if it stays so, clone it yourself and name the folder"
    total = 0
    try:
        with (
            gzip.GzipFile(fileobj=io.BytesIO(content)) as packed,
            tarfile.open(fileobj=_Bounded(packed, max_bytes), mode="r|") as archive,
        ):
            for number, member in enumerate(archive):
                if number >= max_files:
                    raise Unreadable(f"holds more than {max_files:,} files", "clone it yourself, name the folder")
                name = PurePosixPath(member.name)
                if name.is_absolute() or ".." in name.parts or "\0" in member.name or "\\" in member.name:
                    raise Unreadable(f"holds the unsafe name {member.name[:80]!r}; not unpacked", remedy)
                if member.isdir() or member.issym() or member.islnk() or not member.isfile():
                    continue  # links and devices have no text; folders are made as files need them
                total += member.size
                if total > max_bytes:
                    raise Unreadable(f"unpacks to more than {max_bytes:,} bytes", "clone it, name the folder")
                data = archive.extractfile(member)
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data.read() if data else b"")
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as problem:
        raise Unreadable(f"the archive is damaged: {str(problem)[:120]}", remedy) from problem
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


class _Bounded(io.RawIOBase):
    """A stream that ends with an error after ``limit`` bytes: headers of an archive can be a bomb too."""

    def __init__(self, inner: gzip.GzipFile, limit: int) -> None:
        self._inner = inner
        self._left = limit + 64 * 1024**2

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes."""
        data = self._inner.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise Unreadable("unpacks to more than is taken, as a bomb does; not unpacked", "clone it yourself")
        buffer[: len(data)] = data
        return len(data)
