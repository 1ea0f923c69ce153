"""Pages as they were fetched, and what a later extractor reads out of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"

# As in 0005: each in a SELECT of its own, so that it is computed once a query and not once a row.
EVERYBODY = "(SELECT coalesce(current_setting('app.authors', true), '') IN ('', '*'))"


def upgrade() -> None:
    op.create_table(
        "raw_page",
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False, comment="the address it is read at"),
        sa.Column("content_type", sa.Text(), nullable=False, comment="as the host sent it, with the character set"),
        sa.Column("content", sa.LargeBinary(), nullable=False, comment="the body as it was sent, compressed with zlib"),
        sa.Column("extractor", sa.Text(), nullable=False, comment="that read what the version holds"),
        sa.Column("fetched_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        *_of_a_version("raw_page"),
    )
    op.execute("ALTER TABLE raw_page ALTER COLUMN content SET STORAGE EXTERNAL")  # it is compressed already
    op.create_table(
        "extraction",
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("extractor", sa.Text(), nullable=False, comment="that read the stored page last"),
        sa.Column(
            "content_hash",
            sa.Text(),
            nullable=True,
            comment="null where it reads what the version holds, as the columns below",
        ),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("byline", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "payload",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="other URLs and the platform's own fields",
        ),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        *_of_a_version("extraction"),
    )
    op.add_column(
        "clean_document",
        sa.Column(
            "extraction",
            sa.Text(),
            nullable=True,
            comment="content hash of the later extraction it was made from; null for none",
        ),
    )
    for table in ("raw_page", "extraction"):
        op.create_index(op.f(f"ix_{table}_document_id"), table, ["document_id"])
        visible = f"{EVERYBODY} OR EXISTS (SELECT FROM document WHERE document.id = {table}.document_id)"
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY by_author ON {table} USING ({visible}) WITH CHECK ({visible})")


def _of_a_version(table: str) -> tuple[sa.Constraint, ...]:
    return (
        sa.ForeignKeyConstraint(
            ["document_id"], ["document.id"], name=op.f(f"fk_{table}_document_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["document_version.id"], name=op.f(f"fk_{table}_version_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version_id", name=op.f(f"pk_{table}")),
    )
