"""What people decided on samples; it holds as long as the sample is the same, and goes with its document."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

EVERYBODY = "(SELECT coalesce(current_setting('app.authors', true), '') IN ('', '*'))"
ALLOWED = "((SELECT string_to_array(current_setting('app.authors', true), ','))::text[])"


def upgrade() -> None:
    op.create_table(
        "review",
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("sample_id", sa.Text(), nullable=False, comment="hash of the sample's content, as it was generated"),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False, comment="accepted, rejected or edited"),
        sa.Column("answer", sa.Text(), nullable=True, comment="of an edited sample; null for the others"),
        sa.Column("by", sa.Text(), nullable=False, comment="the name of the key, or local"),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["author"], ["author.id"], name=op.f("fk_review_author"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["document_id"], ["document.id"], name=op.f("fk_review_document_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("author", "sample_id", name=op.f("pk_review")),
    )
    op.create_index(op.f("ix_review_document_id"), "review", ["document_id"])
    visible = f"{EVERYBODY} OR author = ANY {ALLOWED}"
    op.execute("ALTER TABLE review ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE review FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY by_author ON review USING ({visible}) WITH CHECK ({visible})")
