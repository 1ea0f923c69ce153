"""A GitHub account over its REST interface: repositories, gists and release notes."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from twin_resources.errors import SourceError
from twin_resources.network.errors import RequestError, Unavailable
from twin_resources.network.response import JSON, PACKED, Response, Validators
from twin_resources.readers.archives import Unreadable, patterns_of, unpack_tar
from twin_resources.readers.page import PageError
from twin_resources.sources.base import Author, Category, Item, MediaType, Quarantined, RawDocument, Skipped
from twin_resources.sources.github import LANGUAGES, GitRepository
from twin_resources.sources.network import NetworkSource, Verdict
from twin_resources.sources.registry import source
from twin_resources.text.dates import utc_or_none

API = "https://api.github.com"
_ACCOUNT = re.compile(r"@?([A-Za-z0-9](?:[A-Za-z0-9-]{0,38}))")
_MEDIA = {"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28"}
_ARCHIVE_BYTES = 200 * 1024**2
_MOST_COMMITS = 2000
_REPOSITORY = ("id", "name", "full_name", "html_url", "fork", "archived", "disabled", "private", "size", "pushed_at",
               "default_branch", "url")  # fmt: skip
_READER_OPTIONS = ("include", "exclude", "max_files", "max_file_kb")
_TEXTS: Mapping[str, MediaType] = {".md": "text/markdown", ".markdown": "text/markdown", ".txt": "text/plain",
                                   ".rst": "text/plain"}  # fmt: skip


@source
class GithubAccount(NetworkSource):
    """Everything public that an account owns.

    A repository is read again when something was pushed, through the same selection as a local one. Forks and archived
    repositories are left out unless ``forks`` or ``archived``; ``repositories`` and ``without`` are globs over their
    names. ``only_own: true`` keeps only files that a commit of this account touched. ``gists`` and ``releases`` are
    read unless they are false. ``TWIN_GITHUB_TOKEN`` raises the limit of 60 requests an hour to 5,000.
    """

    kind: ClassVar[str] = "github_account"
    platform: ClassVar[str] = "github"
    categories: ClassVar[tuple[Category, ...]] = ("code",)
    own_hosts: ClassVar[tuple[str, ...]] = (
        "api.github.com", "codeload.github.com", "gist.githubusercontent.com", "github.com", "gist.github.com",
    )  # fmt: skip
    apis: ClassVar[tuple[str, ...]] = ("api.github.com", "codeload.github.com", "gist.githubusercontent.com")
    credential: ClassVar[str | None] = "TWIN_GITHUB_TOKEN"
    credential_help: ClassVar[str] = (
        "make a fine-grained personal access token without any permission at https://github.com/settings/tokens "
        "(public repositories only), and set it as TWIN_GITHUB_TOKEN"
    )
    options_allowed: ClassVar[tuple[str, ...]] = (
        "forks", "archived", "repositories", "without", "only_own", "gists", "releases", *_READER_OPTIONS, "hosts",
    )  # fmt: skip

    def __init__(self, location: str, author: Author, options: Mapping[str, Any] | None = None) -> None:
        if "url" in (options or {}):
            raise SourceError(f"github: there is no folder {location}, and an account has no option `url`")
        super().__init__(location, author, options)
        match = _ACCOUNT.fullmatch(location)
        if match is None:
            raise SourceError(f"{self.kind}: write the name of an account, for example `github: me`, not {location!r}")
        self.login = match.group(1)

    def secrets(self) -> Mapping[str, Mapping[str, str]]:
        """The token, for the interface alone: the archives it redirects to carry their own."""
        token = self.token()
        return {"api.github.com": {"authorization": f"Bearer {token}"}} if token else {}

    def wants(self, folder: Path) -> Iterator[tuple[bool, str, str]]:
        """It works without a token, slowly."""
        if not self.token():
            yield False, "without TWIN_GITHUB_TOKEN GitHub answers 60 requests an hour", self.credential_help

    def read(self) -> Iterator[Item]:
        """Yield the files of every repository, then gists.

        Raises:
            SourceError: there is no such account, the rate limit is used up, or an option has no valid value.
        """
        try:
            yield from self._all()
        except Unavailable as problem:
            if self.token():
                raise
            raise SourceError(
                f"{problem}. Without TWIN_GITHUB_TOKEN the limit is 60 an hour: {self.credential_help}"
            ) from None

    def _all(self) -> Iterator[Item]:
        wanted, without = patterns_of(self.options, "repositories"), patterns_of(self.options, "without")
        for repository in self._list(f"{API}/users/{quote(self.login)}/repos?per_page=100&sort=full_name", _REPOSITORY):
            name = str(repository.get("full_name") or repository.get("name"))
            short = str(repository.get("name"))
            if repository.get("private"):
                yield Skipped(name, "private")
            elif repository.get("fork") and not self.flag("forks"):
                yield Skipped(name, "fork")
            elif repository.get("archived") and not self.flag("archived"):
                yield Skipped(name, "archived")
            elif any(fnmatchcase(short, each) for each in without) or (
                wanted and not any(fnmatchcase(short, each) for each in wanted)
            ):
                yield Skipped(name, "excluded")
            elif repository.get("disabled") or not repository.get("size"):
                yield Skipped(name, "empty")
            else:
                before = self.memory.cursor.setdefault("names", {}).get(str(repository.get("id")), name)
                for item in self._repository(repository):
                    if before != name and isinstance(item, RawDocument):
                        old = item.url.replace(f"/{name}/", f"/{before}/", 1)
                        item = replace(item, also=(*item.also, old), same=(old,))
                    yield item
                self.memory.cursor["names"][str(repository.get("id"))] = name
        if self.flag("gists", True):
            for gist in self._list(f"{API}/users/{quote(self.login)}/gists?per_page=100", ("id", "url", "updated_at")):
                yield from self.visit(
                    f"{API}/gists/{quote(str(gist.get('id')))}",
                    self._read_gist,
                    marker=str(gist.get("updated_at") or "") or None,
                    accept=JSON,
                    headers=_MEDIA,
                )
        self.complete = True

    def _list(self, url: str, keep: tuple[str, ...]) -> Iterator[Mapping[str, Any]]:
        """Every entry of a paged list. A page that did not change is not sent again and costs nothing of the limit."""
        pages = self.memory.cursor.setdefault("pages", {})
        at: str | None = url
        seen: set[str] = set()
        while at and at not in seen:
            seen.add(at)
            known = pages.get(at)
            answer = self.client.get(
                at, accept=JSON, headers=_MEDIA, known=Validators(known["etag"]) if known else None
            )
            if not (known and answer.unchanged):
                entries = self.need(answer).json()
                if not isinstance(entries, list):
                    raise SourceError(f"github {self.login}: {at} is no list; the next collection tries again")
                known = {
                    "etag": answer.validators.etag,
                    "next": answer.next,
                    "entries": [{key: entry.get(key) for key in keep} for entry in entries if isinstance(entry, dict)],
                }
                pages[at] = known
            yield from known["entries"]
            at = known["next"]

    def _repository(self, repository: Mapping[str, Any]) -> Iterator[Item]:
        name, branch = str(repository["full_name"]), str(repository.get("default_branch") or "HEAD")
        only = self.flag("only_own")
        marker = f"{repository.get('pushed_at')} {branch} {sorted(self.options.items())}"
        yield from self.visit(
            f"{API}/repos/{quote(name)}/tarball/{quote(branch)}",
            lambda answer: self._read_archive(repository, answer, only),
            marker=marker,
            accept=PACKED,
            headers=_MEDIA,
            max_bytes=_ARCHIVE_BYTES,
        )
        if self.flag("releases", True):
            yield from self.visit(
                f"{API}/repos/{quote(name)}/releases?per_page=100",
                lambda answer: self._read_releases(name, answer),
                accept=JSON,
                headers=_MEDIA,
            )

    def _read_archive(self, repository: Mapping[str, Any], answer: Response, only: bool) -> list[Item]:
        name, web = str(repository["full_name"]), str(repository["html_url"])
        options = {key: self.options[key] for key in _READER_OPTIONS if key in self.options}
        own = self._own_files(name) if only else None
        with tempfile.TemporaryDirectory(prefix="twin-repository-") as folder:
            try:
                unpacked = unpack_tar(answer.content, Path(folder))
            except Unreadable as problem:
                raise PageError(f"{name}: {problem.reason}", problem.remedy) from None
            work = (
                unpacked.rename(unpacked.with_name(str(repository["name"]))) if unpacked != Path(folder) else unpacked
            )
            found = list(GitRepository(str(work), self.author, {**options, "url": web}).read())
        items: list[Item] = []
        for item in found:
            if isinstance(item, RawDocument) and own is not None and item.extra["path"] not in own:
                items.append(Skipped(f"{name}/{item.extra['path']}", "other_author", "no commit by this account"))
            elif isinstance(item, Skipped | Quarantined):
                items.append(replace(item, item=f"{name}/{item.item}"))
            else:
                items.append(item)
        return items

    def _own_files(self, name: str) -> set[str]:
        """The files that commits of this account touched, by their names of today's or an earlier day.

        Commits never change, so what was asked once is remembered.
        """
        known = self.memory.cursor.setdefault("commits", {}).setdefault(name, {"seen": [], "files": []})
        seen, files = set(known["seen"]), set(known["files"])
        at: str | None = f"{API}/repos/{quote(name)}/commits?author={quote(self.login)}&per_page=100"
        while at:
            answer = self.ask(at, accept=JSON, headers=_MEDIA)
            fresh = [str(commit["sha"]) for commit in answer.json() if str(commit.get("sha")) not in seen]
            for sha in fresh:
                detail = self.ask(f"{API}/repos/{quote(name)}/commits/{sha}", accept=JSON, headers=_MEDIA).json()
                files |= {str(each["filename"]) for each in detail.get("files") or ()}
                seen.add(sha)
            if len(seen) > _MOST_COMMITS:
                raise SourceError(
                    f"{name}: more than {_MOST_COMMITS} commits; clone it and name it as `github: folder`"
                )
            at = answer.next if fresh else None
        known.update(seen=sorted(seen), files=sorted(files))
        return files

    def _read_releases(self, name: str, answer: Response) -> list[Item]:
        items: list[Item] = []
        for release in answer.json():
            url = str(release.get("html_url") or "")
            body = str(release.get("body") or "")
            login = str((release.get("author") or {}).get("login") or "")
            if release.get("draft"):
                items.append(Skipped(url, "draft"))
            elif login.lower() != self.login.lower():
                items.append(Skipped(url, "other_author", login))
            elif not body.strip():
                items.append(Skipped(url, "empty"))
            else:
                title = str(release.get("name") or release.get("tag_name") or "")
                items.append(
                    RawDocument(
                        url=url,
                        platform=self.platform,
                        category="code",
                        media_type="text/markdown",
                        body=body,
                        title=f"{name} {title}".strip(),
                        published_at=utc_or_none(str(release.get("published_at") or "")),
                        extra={
                            "repository": name,
                            "language": "markdown",
                            "path": f"releases/{release.get('tag_name')}",
                        },
                    )
                )
        return items

    def _read_gist(self, answer: Response) -> list[Item]:
        gist = answer.json()
        page = str(gist.get("html_url") or answer.asked)
        files = gist.get("files") or {}
        items: list[Item] = []
        for name, file in sorted(files.items()):
            suffix = PurePosixPath(name).suffix.lower()
            url = page if len(files) == 1 else f"{page}#file-{re.sub(r'[^a-z0-9_]+', '-', name.lower())}"
            if suffix not in LANGUAGES and suffix not in _TEXTS:
                items.append(Skipped(url, "not_code", name))
                continue
            body = str(file.get("content") or "")
            if file.get("truncated"):
                body = self.ask(str(file["raw_url"])).text
            if not body.strip():
                items.append(Skipped(url, "empty", name))
                continue
            items.append(
                RawDocument(
                    url=url,
                    platform=self.platform,
                    category="code",
                    media_type=_TEXTS.get(suffix, "text/x-code"),
                    body=body,
                    title=str(gist.get("description") or name),
                    published_at=utc_or_none(str(gist.get("created_at") or "")),
                    extra={"path": name, "language": LANGUAGES.get(suffix, "text"), "repository": "gist"},
                )
            )
        return items

    def confirm(self, url: str) -> Verdict:
        """A file that the archive of its repository has not is gone, once GitHub can be asked for the repository."""
        parts = urlsplit(url).path.strip("/").split("/")
        where = f"{API}/gists/{parts[-1]}" if urlsplit(url).hostname == "gist.github.com" else None
        try:
            answer = self.client.get(where or f"{API}/repos/{'/'.join(parts[:2])}", accept=JSON, headers=_MEDIA)
        except RequestError:
            return "unknown"
        return "gone" if answer.ok or answer.status in (404, 410) else "unknown"

    def remedy_for_wall(self) -> str:
        """A token helps against the rate limit."""
        return self.credential_help
