"""Which adapter speaks for an author: candidates, approvals, the champion and the way back.

Aliases and approvals are rows of one database, changed in one transaction, so a killed process leaves either the old
champion or the new one. MLflow's registry shows the same names; :mod:`~twin_resources.runtime.tracking` copies them.
A version on canary is an alias with a share: that of the conversations which it answers beside the champion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on, insert

from twin_resources.database.schema import adapter, approval, release, report
from twin_resources.errors import TwinError
from twin_resources.storage.inventory.paging import Paging, Part, Place
from twin_resources.text.identity import share_of


class ReleaseError(TwinError):
    """A release cannot be approved, rejected or rolled back; the message says why and what to do."""


@dataclass(frozen=True)
class Release:
    """One adapter version of an author and where it stands; ``share`` is that of the conversations which it answers on
    canary, None where it is on none."""

    version: str
    author: str
    kind: str
    base: str
    artifact: str
    dataset_id: str
    metrics: Mapping[str, Any]
    gate: Mapping[str, Any]
    created_at: datetime
    aliases: tuple[str, ...]
    retired_because: str | None
    share: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the evaluation gate let it through."""
        return bool(self.gate.get("passed"))


@dataclass(frozen=True)
class Adapter:
    """A trained adapter; ``id`` is the content hash of everything it was made from, ``artifact`` where it lies."""

    id: str
    author: str
    version: str
    kind: str
    base: str
    artifact: str
    dataset_id: str
    parameters: Mapping[str, Any]
    metrics: Mapping[str, Any]
    tracking_run: str | None


@dataclass(frozen=True)
class Canary:
    """A version that answers a ``share`` of the conversations beside the champion, in (0, 1), from ``since`` on.

    Which conversations these are follows from their names and that of the version alone, so every process draws the
    same and a conversation stays where it is.
    """

    version: str
    share: float
    since: datetime

    def draw(self, conversation: str) -> float:
        """Where a conversation falls in [0, 1); a canary of another version draws it anew."""
        return share_of(f"canary/{self.version}/{conversation}")

    def answers(self, draw: float) -> bool:
        """Whether what was drawn for a conversation lies in the share; a larger share keeps all of a smaller one."""
        return draw < self.share


@dataclass(frozen=True)
class Standing:
    """Who answers for an author: the version of the champion, and the canary beside it; None where there is none."""

    author: str
    champion: str | None = None
    canary: Canary | None = None


@dataclass(frozen=True)
class Approval:
    """Who approved, rejected, went back to or put on canary which version, and when; ``share`` is that of a canary."""

    at: datetime
    action: str
    version: str
    by: str
    comment: str
    share: float | None = None


WITHDRAWER = "canary"
"""Who rejects a version on which readers fare worse: nobody, the canary itself."""
DEFAULT_SHARE = 0.1
"""Of the conversations that a canary answers where nobody names a share."""
_ADAPTERS = sa.select(*(adapter.c[name] for name in Adapter.__dataclass_fields__))
_IS_CANARY = release.c.alias == "canary"


def _releases(author_id: str | None) -> sa.Select:
    gate = (
        sa.select(report.c.metrics)
        .where(report.c.kind == "gate", report.c.subject == adapter.c.version)
        .order_by(report.c.created_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    names = (
        sa.select(sa.func.array_agg(release.c.alias)).where(release.c.version == adapter.c.version).scalar_subquery()
    )
    share = sa.select(release.c.share).where(_IS_CANARY, release.c.version == adapter.c.version).scalar_subquery()
    query = sa.select(adapter, gate.label("gate"), names.label("aliases"), share.label("share"))
    return query if author_id is None else query.where(adapter.c.author == author_id)


class Releases:
    """Reads and moves the aliases ``candidate``, ``champion``, ``previous`` and ``canary``."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def add_adapter(self, trained: Adapter) -> None:
        """Store an adapter; one that is known only moves to its new address."""
        statement = insert(adapter).values(**asdict(trained))
        moved = {"artifact": trained.artifact}
        with self.engine.begin() as session:
            session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=moved))

    def adapter(self, adapter_id: str) -> Adapter | None:
        """An adapter by its id, if it was trained already."""
        with self.engine.connect() as session:
            row = session.execute(_ADAPTERS.where(adapter.c.id == adapter_id)).one_or_none()
        return Adapter(*row) if row else None

    def newest_adapter(self, author_id: str, kind: str | None = None) -> Adapter | None:
        """The adapter of an author that was trained last, if there is one; of one kind or of any."""
        newest = _ADAPTERS.where(adapter.c.author == author_id).order_by(adapter.c.created_at.desc()).limit(1)
        if kind is not None:
            newest = newest.where(adapter.c.kind == kind)
        with self.engine.connect() as session:
            row = session.execute(newest).one_or_none()
        return Adapter(*row) if row else None

    def make_newest(self, adapter_id: str) -> None:
        """Let an adapter that was trained before be the newest again: settings or dataset went back to what made it."""
        with self.engine.begin() as session:
            session.execute(
                sa.update(adapter).where(adapter.c.id == adapter_id).values(created_at=sa.func.clock_timestamp())
            )

    def newest_of(self, author_id: str, dataset_id: str) -> Release | None:
        """The newest adapter of a dataset version that is not retired."""
        return next(
            (each for each in self.list(author_id) if each.dataset_id == dataset_id and not each.retired_because), None
        )

    def list(self, author_id: str | None = None) -> Sequence[Release]:
        """All versions, the newest first."""
        return self._found(_releases(author_id).order_by(adapter.c.created_at.desc(), adapter.c.version))

    def part(self, author_id: str | None, paging: Paging) -> Part[Release]:
        """One page of the versions, the newest first."""
        found = self._found(paging.of(_releases(author_id), adapter.c.created_at, adapter.c.version))
        return paging.cut(found, lambda each: Place(each.created_at, each.version))

    def _found(self, query: sa.Select) -> Sequence[Release]:
        with self.engine.connect() as session:
            return [
                Release(
                    row["version"],
                    row["author"],
                    row["kind"],
                    row["base"],
                    row["artifact"],
                    row["dataset_id"],
                    row["metrics"],
                    row["gate"] or {},
                    row["created_at"],
                    tuple(sorted(row["aliases"] or ())),
                    row["retired_because"],
                    row["share"],
                )
                for row in session.execute(query).mappings()
            ]

    def get(self, version: str) -> Release:
        """One version.

        Raises:
            ReleaseError: there is none of this name.
        """
        for found in self._found(_releases(None).where(adapter.c.version == version)):
            return found
        raise ReleaseError(f"no version {version!r}; `twin candidates` lists them")

    def alias(self, author_id: str, name: str) -> Release | None:
        """The version that an alias points to, if any."""
        pointed = sa.select(release.c.version).where(release.c.author == author_id, release.c.alias == name)
        found = self._found(_releases(author_id).where(adapter.c.version == pointed.scalar_subquery()))
        return next(iter(found), None)

    def standings(self) -> Sequence[Standing]:
        """Who answers for each author that has a version: one small query, however many authors and versions there
        are, for whoever looks often."""
        query = sa.select(release.c.author, release.c.alias, release.c.version, release.c.share, release.c.changed_at)
        champions: dict[str, str] = {}
        canaries: dict[str, Canary] = {}
        with self.engine.connect() as session:
            for author, alias, version, share, since in session.execute(
                query.where(release.c.alias.in_(("champion", "canary")))
            ):
                if alias == "canary":
                    canaries[author] = Canary(version, share, since)
                else:
                    champions[author] = version
        authors = sorted(champions.keys() | canaries.keys())
        return [Standing(author, champions.get(author), canaries.get(author)) for author in authors]

    def propose(self, author_id: str, version: str) -> None:
        """Make a version the candidate.

        Raises:
            ReleaseError: it is unknown or retired.
        """
        found = self.get(version)
        if found.retired_because:
            raise ReleaseError(f"{version} is retired: {found.retired_because}; train a new one with `twin run`")
        with self.engine.begin() as session:
            self._point(session, author_id, "candidate", version)

    def is_decided(self, author_id: str) -> bool:
        """Whether anybody approved, rejected or rolled back anything since the candidate of an author became one; a
        canary decides nothing yet."""
        since = sa.select(release.c.changed_at).where(release.c.author == author_id, release.c.alias == "candidate")
        query = sa.select(sa.func.count()).where(
            approval.c.author == author_id,
            approval.c.at >= since.scalar_subquery(),
            approval.c.action != "canary",
        )
        with self.engine.connect() as session:
            return bool(session.scalar(query))

    def approve(self, version: str, *, by: str, comment: str = "") -> Release:
        """Make a version the champion; the champion before it becomes ``previous``, and a canary beside it ends.
        Repeating it changes nothing.

        Raises:
            ReleaseError: it is unknown, retired, or did not pass the gate.
        """
        found = self._fit(version)
        with self.engine.begin() as session:
            champion = self._locked_champion(session, found.author)
            if champion != version:
                if champion:
                    self._point(session, found.author, "previous", champion)
                self._point(session, found.author, "champion", version)
                self._end_canary(session, found.author)
                session.execute(
                    sa.insert(approval).values(
                        author=found.author, version=version, action="approve", by=by, comment=comment
                    )
                )
        return self.get(version)

    def canary(self, author_id: str) -> Canary | None:
        """What answers a share of an author's conversations beside the champion; None where nothing does."""
        query = sa.select(release.c.version, release.c.share, release.c.changed_at)
        with self.engine.connect() as session:
            row = session.execute(query.where(release.c.author == author_id, _IS_CANARY)).one_or_none()
        return Canary(*row) if row else None

    def start_canary(self, version: str, share: float, *, by: str, comment: str = "") -> Release:
        """Let a version answer a share of the conversations beside the champion, in place of the canary before it.

        Repeating it changes nothing; with another share its calls are counted anew, because those drawn before and
        after are not alike. It ends when a version is approved, this one is rejected, or the champion is rolled back.

        Args:
            share: in (0, 1).

        Raises:
            ReleaseError: it is unknown, retired, or did not pass the gate; it serves; there is no champion, or one over
                another base; or the share is none.
        """
        found = self._fit(version)
        if not 0 < share < 1:
            raise ReleaseError(
                f"a canary answers a share between 0 and 1, such as 0.1, not {share:g}; to serve all, "
                f"`twin approve {version}`"
            )
        if "champion" in found.aliases:
            raise ReleaseError(f"{version} serves already; a canary is a version beside the champion")
        champion = self.alias(found.author, "champion")
        if champion is None:
            raise ReleaseError(f"author {found.author!r} has no champion to stand beside; `twin approve {version}`")
        if champion.base != found.base:
            raise ReleaseError(
                f"{version} was trained over {found.base} and {champion.version}, which serves, over {champion.base}; "
                f"an engine runs one base, so only `twin approve {version}` lets it serve"
            )
        with self.engine.begin() as session:
            if self._locked_champion(session, found.author) != champion.version:
                raise ReleaseError(f"the champion of {found.author!r} changed in this moment; try again")
            if self._point(session, found.author, "canary", version, share):
                session.execute(
                    sa.insert(approval).values(
                        author=found.author, version=version, action="canary", share=share, by=by, comment=comment
                    )
                )
        return self.get(version)

    def reject(self, version: str, *, by: str, comment: str) -> Release:
        """Decide against a version, and say why: it does not take over by itself, and is on canary no longer. A later
        approval overrides this.

        Raises:
            ReleaseError: it is unknown or retired, or it serves.
        """
        found = self.get(version)
        if found.retired_because:
            raise ReleaseError(f"{version} is retired already: {found.retired_because}")
        if "champion" in found.aliases:
            raise ReleaseError(f"{version} serves; go back to the one before it with `twin rollback`")
        with self.engine.begin() as session:
            self._locked_champion(session, found.author)
            self._end_canary(session, found.author, version)
            session.execute(
                sa.insert(approval).values(
                    author=found.author, version=version, action="reject", by=by, comment=comment
                )
            )
        return self.get(version)

    def rollback(self, author_id: str, *, by: str, comment: str = "") -> Release:
        """Swap the champion with the one before it; a canary beside it ends.

        Raises:
            ReleaseError: there is no previous champion to go back to.
        """
        with self.engine.begin() as session:
            champion = self._locked_champion(session, author_id)
            before = session.scalar(
                sa.select(release.c.version).where(release.c.author == author_id, release.c.alias == "previous")
            )
            if before is None:
                raise ReleaseError(f"author {author_id!r} has no previous champion to roll back to")
            self._point(session, author_id, "champion", before)
            if champion:
                self._point(session, author_id, "previous", champion)
            self._end_canary(session, author_id)
            session.execute(
                sa.insert(approval).values(author=author_id, version=before, action="rollback", by=by, comment=comment)
            )
        return self.get(before)

    def decisions(self, versions: Sequence[str]) -> Mapping[str, Approval]:
        """What was decided last on each of some versions."""
        columns = (approval.c[name] for name in Approval.__dataclass_fields__)
        query = (
            sa.select(*columns)
            .ext(distinct_on(approval.c.version))
            .where(approval.c.version.in_(versions))
            .order_by(approval.c.version, approval.c.id.desc())
        )
        with self.engine.connect() as session:
            return {row.version: Approval(*row) for row in session.execute(query)}

    def last_decision(self, author_id: str) -> Approval | None:
        """What was decided last for an author, on whichever version."""
        columns = (approval.c[name] for name in Approval.__dataclass_fields__)
        query = sa.select(*columns).where(approval.c.author == author_id).order_by(approval.c.id.desc()).limit(1)
        with self.engine.connect() as session:
            row = session.execute(query).one_or_none()
        return Approval(*row) if row else None

    def history(self, author_id: str) -> Sequence[Approval]:
        """Who approved, rejected or rolled back what, and when; the newest first."""
        columns = (approval.c[name] for name in Approval.__dataclass_fields__)
        query = sa.select(*columns).where(approval.c.author == author_id).order_by(approval.c.id.desc())
        with self.engine.connect() as session:
            return [Approval(*row) for row in session.execute(query)]

    def _fit(self, version: str) -> Release:
        """A version that may serve.

        Raises:
            ReleaseError: it is unknown, retired, or did not pass the gate.
        """
        found = self.get(version)
        if found.retired_because:
            raise ReleaseError(f"{version} is retired: {found.retired_because}; train a new one with `twin run`")
        if not found.passed:
            failed = ", ".join(found.gate.get("failed", ())) or "it was not evaluated"
            raise ReleaseError(f"{version} did not pass the gate ({failed}); see `twin candidates`")
        return found

    def _end_canary(self, session: sa.Connection, author_id: str, version: str | None = None) -> None:
        """End the canary of an author; only that of ``version``, where one is given."""
        ended = sa.delete(release).where(release.c.author == author_id, _IS_CANARY)
        session.execute(ended if version is None else ended.where(release.c.version == version))

    def _locked_champion(self, session: sa.Connection, author_id: str) -> str | None:
        session.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('release-' || :author))"), {"author": author_id})
        return session.scalar(
            sa.select(release.c.version).where(release.c.author == author_id, release.c.alias == "champion")
        )

    def _point(
        self, session: sa.Connection, author_id: str, name: str, version: str, share: float | None = None
    ) -> bool:
        """Point an alias to a version; returns whether it pointed elsewhere, or had another share."""
        values = {"version": version, "share": share}
        statement = insert(release).values(author=author_id, alias=name, **values)
        moved = statement.on_conflict_do_update(
            index_elements=["author", "alias"],
            set_={**values, "changed_at": sa.func.now()},
            where=sa.or_(release.c.version != version, release.c.share.is_distinct_from(share)),
        )
        return session.scalar(moved.returning(release.c.alias)) is not None
