"""The places of documents among test, validation and training; those of datasets made before keep their sides."""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

EVERYBODY = "(SELECT coalesce(current_setting('app.authors', true), '') IN ('', '*'))"
ALLOWED = "((SELECT string_to_array(current_setting('app.authors', true), ','))::text[])"
STOOD = """
SELECT m.document_id, v.author, array_agg(DISTINCT m.split) AS splits
FROM dataset_member m
JOIN dataset_version v ON v.id = m.dataset_id AND v.kind = 'instruct'
JOIN document d ON d.id = m.document_id
GROUP BY m.document_id, v.author
"""
RANGES = {"test": (0.0, 0.1), "validation": (0.1, 0.2), "train": (0.2, 1.0)}


def upgrade() -> None:
    op.create_table(
        "document_place",
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column(
            "place",
            sa.Float(),
            nullable=False,
            comment="among test, validation and training, in [0, 1); for ever",
        ),
        sa.Column("lowest", sa.Float(), nullable=False, comment="lowest place of all it ever shared text with"),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["author"], ["author.id"], name=op.f("fk_document_place_author"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["document_id"], ["document.id"], name=op.f("fk_document_place_document_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_document_place")),
    )
    op.create_index(op.f("ix_document_place_author"), "document_place", ["author"])
    visible = f"{EVERYBODY} OR author = ANY {ALLOWED}"
    op.execute("ALTER TABLE document_place ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE document_place FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY by_author ON document_place USING ({visible}) WITH CHECK ({visible})")
    _remember()


def _remember() -> None:
    """Where documents stood in datasets until now. One that stood on two sides gets the place of the higher and the
    lowest place of the other, so that it is left out from now on."""
    session = op.get_bind()
    rows = [
        {
            "document_id": row.document_id,
            "author": row.author,
            "place": _within(row.document_id, *RANGES[max(row.splits, key=lambda split: RANGES[split])]),
            "lowest": _within(row.document_id, *RANGES[min(row.splits, key=lambda split: RANGES[split])]),
        }
        for row in session.execute(sa.text(STOOD))
    ]
    if rows:
        columns = "document_id, author, place, lowest"
        values = ", ".join(f":{name}" for name in columns.split(", "))
        insert = f"INSERT INTO document_place ({columns}) VALUES ({values})"
        session.execute(sa.text(insert), rows)


def _within(document_id: str, low: float, high: float) -> float:
    """The document's hash as a place, put into a range where it lies outside."""
    share = int(hashlib.sha256(f"split/{document_id}".encode()).hexdigest()[:12], 16) / 16**12
    return share if low <= share < high else low + (high - low) * share
