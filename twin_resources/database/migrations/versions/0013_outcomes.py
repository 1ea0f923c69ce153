"""What became of a call, beside its words: how it was answered, whether at all, and what supports the answer."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("interaction", sa.Column("mode", sa.Text(), nullable=True, comment="quote, generate or write"))
    op.add_column("interaction", sa.Column("abstained", sa.Boolean(), nullable=True))
    op.add_column(
        "interaction",
        sa.Column("support", sa.Float(), nullable=True, comment="share of sentences that a passage supports"),
    )
    op.add_column(
        "interaction",
        sa.Column("found", sa.Integer(), nullable=True, comment="how many passages; null where none were sought"),
    )
