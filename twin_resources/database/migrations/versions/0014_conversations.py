"""Which conversation a call belongs to, and what a reader got of an answer beside its words, to show it again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("interaction", sa.Column("conversation", sa.Text(), nullable=True, comment="null outside of one"))
    op.add_column(
        "interaction",
        sa.Column(
            "shown",
            postgresql.JSONB(),
            nullable=True,
            comment="what a reader got beside answer and citations; null where there is no answer",
        ),
    )
    op.create_index(op.f("ix_interaction_conversation"), "interaction", ["conversation"])
