"""What a language model wrote for datasets, so that nothing is paid for twice; it goes with its document."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

EVERYBODY = "(SELECT coalesce(current_setting('app.authors', true), '') IN ('', '*'))"
ALLOWED = "((SELECT string_to_array(current_setting('app.authors', true), ','))::text[])"


def upgrade() -> None:
    op.create_table(
        "generated_response",
        sa.Column("id", sa.Text(), nullable=False, comment="hash of model, prompt version, kind, document and passage"),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False, comment="as the model wrote it"),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["author"], ["author.id"], name=op.f("fk_generated_response_author"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["document_id"], ["document.id"], name=op.f("fk_generated_response_document_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generated_response")),
    )
    op.create_index(op.f("ix_generated_response_author"), "generated_response", ["author"])
    op.create_index(op.f("ix_generated_response_document_id"), "generated_response", ["document_id"])
    visible = f"{EVERYBODY} OR author = ANY {ALLOWED}"
    op.execute("ALTER TABLE generated_response ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE generated_response FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY by_author ON generated_response USING ({visible}) WITH CHECK ({visible})")
