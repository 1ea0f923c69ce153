"""The first answer to a write, for a day; a row without an author is a write in progress, which holds hashes alone.
And a version can be rejected, not only approved."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

EVERYBODY = "(SELECT coalesce(current_setting('app.authors', true), '') IN ('', '*'))"
ALLOWED = "((SELECT string_to_array(current_setting('app.authors', true), ','))::text[])"


def upgrade() -> None:
    op.create_table(
        "idempotency",
        sa.Column("id", sa.Text(), nullable=False, comment="hash of the key and of who sent it"),
        sa.Column("request", sa.Text(), nullable=False, comment="hash of method, path and body"),
        sa.Column("author", sa.Text(), nullable=True, comment="whose data the answer holds; null until there is one"),
        sa.Column("status", sa.Integer(), nullable=True, comment="null while the write is in progress"),
        sa.Column("media_type", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True, comment="the answer"),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(body IS NULL) = (author IS NULL)", name=op.f("ck_idempotency_answer_has_author")),
        sa.ForeignKeyConstraint(["author"], ["author.id"], name=op.f("fk_idempotency_author"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency")),
    )
    op.create_index(op.f("ix_idempotency_author"), "idempotency", ["author"])
    op.create_index(op.f("ix_idempotency_at"), "idempotency", ["at"])
    visible = f"{EVERYBODY} OR author IS NULL OR author = ANY {ALLOWED}"
    op.execute("ALTER TABLE idempotency ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE idempotency FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY by_author ON idempotency USING ({visible}) WITH CHECK ({visible})")
    op.alter_column("approval", "action", existing_type=sa.Text(), comment="approve, reject or rollback")
