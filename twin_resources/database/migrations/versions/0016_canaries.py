"""A version on canary: the share of conversations it answers, and on which side of it each call was; what candidates
answer to questions that readers asked."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

EVERYBODY = "(SELECT coalesce(current_setting('app.authors', true), '') IN ('', '*'))"
ALLOWED = "((SELECT string_to_array(current_setting('app.authors', true), ','))::text[])"


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
    op.create_table(
        "shadow_answer",
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False, comment="of this version to the question of that call"),
        sa.Column("beside", sa.Text(), nullable=False, comment="the version that spoke then"),
        sa.Column("answer_beside", sa.Text(), nullable=False, comment="what that one answers"),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["trace_id"], ["interaction.id"], name=op.f("fk_shadow_answer_trace_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["version"], ["adapter.version"], name=op.f("fk_shadow_answer_version"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["author"], ["author.id"], name=op.f("fk_shadow_answer_author"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trace_id", "version", name=op.f("pk_shadow_answer")),
    )
    op.create_index(op.f("ix_shadow_answer_author"), "shadow_answer", ["author"])
    visible = f"{EVERYBODY} OR author = ANY {ALLOWED}"
    op.execute("ALTER TABLE shadow_answer ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE shadow_answer FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY by_author ON shadow_answer USING ({visible}) WITH CHECK ({visible})")
