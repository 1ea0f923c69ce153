"""Vectors of the sentences of each passage, from which quotations are chosen."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "sentence_embedding",
        sa.Column("text_hash", sa.Text(), nullable=False, comment="of the passage"),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("cutter", sa.Text(), nullable=False, comment="code version of the cutting into sentences"),
        sa.Column("vectors", sa.LargeBinary(), nullable=False, comment="float16, one row a sentence in its order"),
        sa.ForeignKeyConstraint(
            ["model"], ["embedding_model.name"], name=op.f("fk_sentence_embedding_model_embedding_model")
        ),
        sa.PrimaryKeyConstraint("text_hash", "model", name=op.f("pk_sentence_embedding")),
    )
