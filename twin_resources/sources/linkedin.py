"""LinkedIn's data export (Settings, Data privacy, Get a copy of your data): shares, articles, comments, profile."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import ClassVar
from urllib.parse import unquote

from twin_resources.errors import SourceError
from twin_resources.readers.archives import Archive, Unreadable
from twin_resources.sources.base import Category, Item, Quarantined, RawDocument, Skipped, Source, profile_of
from twin_resources.sources.registry import source
from twin_resources.text.csv_tables import Row, Table, read_table
from twin_resources.text.dates import utc_or_none
from twin_resources.text.markup import first, has_class, inner_html, text_of
from twin_resources.text.urls import canonical_url

SHARES, COMMENTS, ARTICLES, PROFILE = "Shares.csv", "Comments.csv", "Articles/*.html", "Profile.csv"
_BREAK = re.compile(r'"(\r\n|\r|\n)"')
_VISIBILITY = re.compile(r"PUBLIC|CONNECTIONS|MEMBER_NETWORK|ANYONE|LOGGED_IN\w*|GROUP\w*|CONTAINER\w*")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2}(?::\d{2})?)?")
_DATED_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})[_ -]?")


@source
class LinkedInExport(Source):
    """Shares become posts with the member's exact text, articles become articles; reposts are skipped. Headline and
    summary of the profile are one post; nothing else of the profile is read.

    Comments are skipped, too, unless ``comments: true`` asks for them as posts.
    """

    kind: ClassVar[str] = "linkedin_export"
    platform: ClassVar[str] = "linkedin"
    categories: ClassVar[tuple[Category, ...]] = ("articles", "posts")
    format: ClassVar[str] = "linkedin"
    options_allowed: ClassVar[tuple[str, ...]] = ("comments",)

    def read(self) -> Iterator[Item]:
        """Yield one item a row of ``Shares.csv``, a file of ``Articles/`` and a row of ``Comments.csv``, and one for
        ``Profile.csv``.

        Raises:
            SourceError: the location is missing, an unsafe zip, or has none of the first three.
        """
        with Archive(Path(self.location)) as archive:
            shares, comments = archive.matching(SHARES)[:1], archive.matching(COMMENTS)[:1]
            articles = sorted(archive.matching(ARTICLES))
            if not (shares or comments or articles):
                raise SourceError(f"{self.location}: no Shares.csv, Articles or Comments.csv in it")
            seen: dict[str, str] = {}
            for name in shares:
                yield from _shares(archive, name, seen)
            for name in articles:
                found = _article(archive, name)
                if isinstance(found, RawDocument) and (earlier := seen.setdefault(found.url, name)) != name:
                    found = Skipped(name, "duplicate_url", f"{found.url} is also the URL of {earlier}")
                yield found
            for name in comments:
                yield from _comments(archive, name, wanted=self.options.get("comments") is True)
            for name in archive.matching(PROFILE)[:1]:
                yield _profile(archive, name)

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """``Shares.csv``, or a zip or folder with it or with ``Articles/`` beside ``Profile.csv``."""
        try:
            with Archive(path) as archive:
                if archive.matching(SHARES):
                    return True
                return bool(archive.matching(ARTICLES) and archive.matching(PROFILE))
        except SourceError:
            return False


def undo_line_quotes(texts: Iterable[str]) -> list[str]:
    """The texts of one file as their author wrote them.

    LinkedIn puts quotes around every line break of a share before it writes the CSV, so a CSV reader returns
    ``one"\\n"two``. Reading left to right this can be undone exactly, quotes at line ends included, but a text alone
    does not tell whether it was done: the file does, where most texts with line breaks have all of them quoted.
    """
    texts = list(texts)
    broken = [text for text in texts if re.search(r"[\r\n]", text)]
    quoted = {text for text in broken if not re.search(r"[\r\n]", _BREAK.sub("", text))}
    if 2 * sum(text in quoted for text in broken) <= len(broken):
        return texts
    return [_BREAK.sub(r"\1", text) if text in quoted else text for text in texts]


def _shares(archive: Archive, name: str, seen: dict[str, str]) -> Iterator[Item]:
    try:
        table = _in_order(read_table(archive.read_text(name)))
    except Unreadable as problem:
        yield Quarantined(name, problem.reason, problem.remedy)
        return
    if missing := [column for column in ("date", "sharelink", "sharecommentary") if column not in table.columns]:
        yield Quarantined(name, f"no column {', '.join(missing)}", "download the export again")
        return
    texts = undo_line_quotes(row.fields.get("sharecommentary", "") for row in table.rows)
    for row, text in zip(table.rows, texts, strict=True):
        item = f"{name} row {row.number}"
        try:
            found = share_of(item, row, text)
        except ValueError as problem:
            found = Quarantined(item, str(problem), "correct this row of Shares.csv, or download the export again")
        if isinstance(found, RawDocument) and (earlier := seen.setdefault(found.url, item)) != item:
            found = Skipped(item, "duplicate_url", f"{found.url} is also the URL of {earlier}")
        yield found


def share_of(item: str, row: Row, text: str) -> Item:
    """The post in a row of shares; ``text`` is its commentary without LinkedIn's quotes.

    Raises:
        ValueError: the row cannot be read.
    """
    if row.problem:
        raise ValueError(row.problem)
    fields = row.fields
    if not text.strip():
        return Skipped(item, "repost", fields.get("sharelink", ""))
    date = fields["date"].strip()
    link = fields["sharelink"].strip()
    url = (
        canonical_url(link) if link else f"linkedin:share/{hashlib.sha256(f'{date} {text}'.encode()).hexdigest()[:16]}"
    )
    readable = unquote(url)
    also = (readable,) if readable != url and "�" not in readable and readable.isprintable() else ()
    published_at = utc_or_none(date)
    details = {
        "shared_url": fields.get("sharedurl", "").strip(),
        "media_url": fields.get("mediaurl", "").strip(),
        "visibility": fields.get("visibility", "").strip(),
        "unread_date": date if published_at is None else "",
    }
    return RawDocument(
        url=url,
        platform=LinkedInExport.platform,
        category="posts",
        media_type="text/plain",
        body=text,
        published_at=published_at,
        also=also,
        extra={key: value for key, value in details.items() if value},
        same=also,
    )


def _in_order(table: Table) -> Table:
    """``table`` with its columns named rightly: some five-column files hold the visibility under ShareCommentary
    and the text under SharedUrl."""
    whole = [row for row in table.rows if not row.problem]
    shifted = len(table.columns) == 5 and table.columns[2:4] == ("sharecommentary", "sharedurl")
    if not (shifted and whole and all(_VISIBILITY.fullmatch(row.fields["sharecommentary"].strip()) for row in whole)):
        return table
    names = dict(zip(table.columns, ("date", "sharelink", "visibility", "sharecommentary", "mediaurl"), strict=True))
    rows = (replace(row, fields={names[key]: value for key, value in row.fields.items()}) for row in table.rows)
    return Table(tuple(names.values()), tuple(rows))


def _article(archive: Archive, name: str) -> Item:
    try:
        page = archive.read_page(name, "download the export again")
    except Unreadable as problem:
        return Quarantined(name, problem.reason, problem.remedy)
    body = first(page, "//body")
    if body is None:
        return Quarantined(name, "no text in it", "download the export again")
    heading = first(body, ".//h1")
    title = text_of(heading) or text_of(first(page, "//title"))
    created = first(body, f".//p[{has_class('created')}]")
    published = first(body, f".//p[{has_class('published')}]")
    moment = _MOMENT.search(text_of(published))
    if created is not None and moment is None:
        return Skipped(name, "draft", title)
    link = first(page, "//link[@rel='canonical']/@href") or (
        first(heading, ".//a/@href") if heading is not None else None
    )
    for printed_elsewhere in (heading, created, published):
        if printed_elsewhere is not None:
            printed_elsewhere.drop_tree()
    if not text_of(body):
        return Skipped(name, "empty")
    path = PurePosixPath(name)
    dated_name = _DATED_NAME.match(path.stem)
    slug = path.stem[dated_name.end() :] if dated_name and path.stem[dated_name.end() :] else path.stem
    return RawDocument(
        url=_web_address(link) or f"linkedin:article/{slug}",
        platform=LinkedInExport.platform,
        category="articles",
        media_type="text/html",
        body=inner_html(body),
        title=title or None,
        published_at=utc_or_none(moment.group() if moment else dated_name.group(1) if dated_name else ""),
        extra={"file": path.name},
    )


def _web_address(link: object) -> str | None:
    try:
        url = canonical_url(str(link or ""))
    except ValueError:
        return None
    return url if url.startswith(("http://", "https://")) else None


def _comments(archive: Archive, name: str, *, wanted: bool) -> Iterator[Item]:
    try:
        table = read_table(archive.read_text(name), escape="\\")
    except Unreadable as problem:
        yield Quarantined(name, problem.reason, problem.remedy)
        return
    for row in table.rows:
        item = f"{name} row {row.number}"
        if row.problem:
            remedy = "download the export again" if wanted else "no remedy is needed: comments are not collected"
            yield Quarantined(item, row.problem, remedy)
            continue
        text, date = row.fields.get("message", ""), row.fields.get("date", "").strip()
        if not wanted or not text.strip():
            yield Skipped(item, "comment", row.fields.get("link", ""))
            continue
        yield RawDocument(
            url=f"linkedin:comment/{hashlib.sha256(f'{date} {text}'.encode()).hexdigest()[:16]}",
            platform=LinkedInExport.platform,
            category="posts",
            media_type="text/plain",
            body=text,
            published_at=utc_or_none(date),
            extra={"in_reply_to": link} if (link := row.fields.get("link", "").strip()) else {},
        )


def _profile(archive: Archive, name: str) -> Item:
    try:
        table = read_table(archive.read_text(name))
    except Unreadable as problem:
        return Quarantined(name, problem.reason, problem.remedy)
    row = next(iter(table.rows), Row(1, {}))
    if row.problem:
        return Quarantined(name, row.problem, "download the export again")
    return profile_in(row.fields)


def profile_in(fields: Mapping[str, str]) -> Item:
    """The profile in a row of LinkedIn's: its headline, then its summary. Address, birthday and the rest stay out."""
    parts = (fields.get(key, "").strip() for key in ("headline", "summary"))
    text = "\n\n".join(filter(None, parts))
    return profile_of(LinkedInExport.platform, "linkedin:profile", text, name="LinkedIn")
