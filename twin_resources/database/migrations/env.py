"""Alembic's entry: runs the migrations on the URL that :mod:`twin_resources.database.postgres` passes in."""

import sqlalchemy as sa
from alembic import context

from twin_resources.database.schema import metadata

with sa.create_engine(context.config.attributes["url"], poolclass=sa.NullPool).connect() as connection:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
