"""The metadata that all tables belong to, and columns that many of them have."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def identifier() -> sa.Column[str]:
    """The primary key ``id``."""
    return sa.Column("id", sa.Text, primary_key=True)


def moment(name: str) -> sa.Column:
    """A time, that of writing where none is given."""
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def author_key(*, nobody: str | None = None) -> sa.Column[str]:
    """Whose it is; it goes with them. ``nobody`` says what null means where it may be."""
    owner, optional = sa.ForeignKey("author.id", ondelete="CASCADE"), nobody is not None
    return sa.Column("author", sa.Text, owner, nullable=optional, index=True, comment=nobody)


def document_key() -> sa.Column[str]:
    """Which document it is of; it goes with it."""
    return sa.Column(
        "document_id", sa.Text, sa.ForeignKey("document.id", ondelete="CASCADE"), nullable=False, index=True
    )
