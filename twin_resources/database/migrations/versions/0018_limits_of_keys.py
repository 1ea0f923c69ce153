"""How often a key may call, and how many tokens models may read and write for it in a day."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("api_key", sa.Column("calls_a_minute", sa.Integer(), comment="null for any number"))
    op.add_column("api_key", sa.Column("tokens_a_day", sa.BigInteger(), comment="null for any number"))
    op.add_column("api_key", sa.Column("spent_on", sa.Date(), comment="the day, in UTC, of what was spent last"))
    op.add_column(
        "api_key",
        sa.Column("spent", sa.BigInteger(), server_default="0", nullable=False, comment="tokens of that day"),
    )
