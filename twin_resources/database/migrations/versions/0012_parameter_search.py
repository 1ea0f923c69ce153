"""Searches for hyper-parameters, their trials and what they found."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"

EVERYBODY = "(SELECT coalesce(current_setting('app.authors', true), '') IN ('', '*'))"
ALLOWED = "((SELECT string_to_array(current_setting('app.authors', true), ','))::text[])"


def upgrade() -> None:
    op.create_table(
        "parameter_search",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("measured_on", sa.Text(), nullable=False, comment="hash of validation samples and base"),
        sa.Column("tracking_run", sa.Text(), nullable=True),
        sa.Column("parameters", postgresql.JSONB(), nullable=True, comment="the best; null until it ended"),
        sa.Column("validation_loss", sa.Float(), nullable=True),
        sa.Column("trials", sa.Integer(), nullable=True, comment="how many were made until it ended"),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["author"], ["author.id"], name=op.f("fk_parameter_search_author"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset_version.id"], name=op.f("fk_parameter_search_dataset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parameter_search")),
    )
    op.create_index(op.f("ix_parameter_search_author"), "parameter_search", ["author"])
    op.create_index(op.f("ix_parameter_search_dataset_id"), "parameter_search", ["dataset_id"])
    op.create_table(
        "search_trial",
        sa.Column("search", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("parameters", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="running, complete, pruned or failed"),
        sa.Column("losses", postgresql.JSONB(), nullable=False, comment="validation loss of each evaluation so far"),
        sa.Column("reason", sa.Text(), nullable=False, comment="why it was pruned or failed"),
        sa.Column("tracking_run", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["search"], ["parameter_search.id"], name=op.f("fk_search_trial_search"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("search", "number", name=op.f("pk_search_trial")),
    )
    _protect("parameter_search", f"{EVERYBODY} OR author = ANY {ALLOWED}")
    parent = "SELECT FROM parameter_search WHERE parameter_search.id = search_trial.search"
    _protect("search_trial", f"{EVERYBODY} OR EXISTS ({parent})")


def _protect(table: str, visible: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY by_author ON {table} USING ({visible}) WITH CHECK ({visible})")
