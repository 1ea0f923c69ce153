"""What is wrong, since when, and who knows of it."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

EVERYBODY = "(SELECT coalesce(current_setting('app.authors', true), '') IN ('', '*'))"
ALLOWED = "((SELECT string_to_array(current_setting('app.authors', true), ','))::text[])"


def upgrade() -> None:
    op.create_table(
        "alert",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("author", sa.Text(), nullable=True, comment="null where it concerns all"),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="watched, open or closed"),
        sa.Column("streak", sa.Integer(), nullable=False, comment="observations in a row towards the next state"),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told", sa.Text(), nullable=True, comment="what people were told last: opened or closed"),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["author"], ["author.id"], name=op.f("fk_alert_author"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
    )
    op.create_index(op.f("ix_alert_author"), "alert", ["author"])
    visible = f"{EVERYBODY} OR author = ANY {ALLOWED}"
    op.execute("ALTER TABLE alert ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE alert FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY by_author ON alert USING ({visible}) WITH CHECK ({visible})")
