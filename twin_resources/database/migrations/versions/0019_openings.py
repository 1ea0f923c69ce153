"""The served passages of a document in their order, so that what opens it is found without reading the rest."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.execute("CREATE INDEX ix_chunk_served_document ON chunk (document_id, position) WHERE served")
