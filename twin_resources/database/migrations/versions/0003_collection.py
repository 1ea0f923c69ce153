"""What collecting over the network remembers: visits, cursors, failures, absences and former addresses."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column(
        "source",
        sa.Column(
            "cursor",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="where the next reading goes on",
        ),
    )
    op.add_column(
        "source",
        sa.Column(
            "failed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="since when it cannot be read; null when it can",
        ),
    )
    op.add_column("source", sa.Column("failure", sa.Text(), nullable=True, comment="why it cannot be read"))
    op.add_column(
        "document",
        sa.Column("missing", sa.Integer(), server_default="0", nullable=False, comment="complete readings without it"),
    )
    op.add_column(
        "document",
        sa.Column(
            "former_urls",
            postgresql.ARRAY(sa.Text()),
            server_default="{}",
            nullable=False,
            comment="before it was moved",
        ),
    )
    op.create_table(
        "visit",
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False, comment="what was asked, not what it led to"),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("last_modified", sa.Text(), nullable=True),
        sa.Column("marker", sa.Text(), nullable=True, comment="what the platform's list said of this version"),
        sa.Column(
            "outcome",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="what came of it, to be said again while it is unchanged",
        ),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name=op.f("fk_visit_source_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("source_id", "url", name=op.f("pk_visit")),
    )
