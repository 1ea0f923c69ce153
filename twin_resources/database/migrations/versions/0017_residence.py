"""Where an author lives who was moved to another database, or is on the way from one."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

EVERYBODY = "(SELECT coalesce(current_setting('app.authors', true), '') IN ('', '*'))"
ALLOWED = "((SELECT string_to_array(current_setting('app.authors', true), ','))::text[])"


def upgrade() -> None:
    op.create_table(
        "residence",
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False, comment="counts the moves; the highest is right"),
        sa.Column("moved_to", sa.Text(), nullable=True, comment="the database they moved to; null for none"),
        sa.Column("arriving_from", sa.Text(), nullable=True, comment="the database they are copied from"),
        sa.Column("shift", sa.BigInteger(), nullable=False, comment="added to numbered ids that are copied"),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("author", name=op.f("pk_residence")),
    )
    visible = f"{EVERYBODY} OR author = ANY {ALLOWED}"
    op.execute("ALTER TABLE residence ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE residence FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY by_author ON residence USING ({visible}) WITH CHECK ({visible})")
