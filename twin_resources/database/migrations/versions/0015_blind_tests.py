"""Which pairs of texts readers were shown in blind tests, and which of the two they held for the author's."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

EVERYBODY = "(SELECT coalesce(current_setting('app.authors', true), '') IN ('', '*'))"
ALLOWED = "((SELECT string_to_array(current_setting('app.authors', true), ','))::text[])"


def upgrade() -> None:
    op.create_table(
        "blind_test",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("pair_id", sa.Text(), nullable=False, comment="hash of the two texts"),
        sa.Column(
            "reader",
            sa.Text(),
            nullable=True,
            comment="hash of a token that the reader keeps; null once that is no longer kept",
        ),
        sa.Column("own_side", sa.Text(), nullable=False, comment="a or b: where the author's text stood"),
        sa.Column(
            "choice",
            sa.Text(),
            nullable=True,
            comment="a or b: what the reader held for the author's; null until answered",
        ),
        sa.Column("shown_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(choice IS NULL) = (answered_at IS NULL)", name=op.f("ck_blind_test_choice_has_time")),
        sa.ForeignKeyConstraint(["author"], ["author.id"], name=op.f("fk_blind_test_author"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["version"], ["adapter.version"], name=op.f("fk_blind_test_version"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["document_id"], ["document.id"], name=op.f("fk_blind_test_document_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blind_test")),
        sa.UniqueConstraint("reader", "document_id", name=op.f("uq_blind_test_reader_document_id")),
    )
    for column in ("author", "version", "document_id"):
        op.create_index(op.f(f"ix_blind_test_{column}"), "blind_test", [column])
    visible = f"{EVERYBODY} OR author = ANY {ALLOWED}"
    op.execute("ALTER TABLE blind_test ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE blind_test FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY by_author ON blind_test USING ({visible}) WITH CHECK ({visible})")
