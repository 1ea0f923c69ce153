"""A version on canary: the share of conversations it answers, and on which side of it each call was."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column(
        "release",
        sa.Column(
            "share",
            sa.Float(),
            nullable=True,
            comment="of conversations that the canary answers; null for the others",
        ),
    )
    op.alter_column(
        "release",
        "alias",
        existing_type=sa.Text(),
        existing_nullable=False,
        comment="candidate, champion, previous or canary",
        existing_comment="candidate, champion or previous",
    )
    op.create_check_constraint(
        op.f("ck_release_canary_has_share"), "release", "(alias = 'canary') = (share IS NOT NULL)"
    )
    op.add_column(
        "approval",
        sa.Column(
            "share",
            sa.Float(),
            nullable=True,
            comment="of conversations that a canary was given; null for the others",
        ),
    )
    op.alter_column(
        "approval",
        "action",
        existing_type=sa.Text(),
        existing_nullable=False,
        comment="approve, reject, rollback or canary",
        existing_comment="approve, reject or rollback",
    )
    op.add_column(
        "interaction",
        sa.Column(
            "draw",
            sa.Float(),
            nullable=True,
            comment="where its conversation fell in [0, 1) when the canary's share was drawn; null where nothing was "
            "drawn",
        ),
    )
