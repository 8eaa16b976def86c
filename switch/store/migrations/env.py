"""Runs migrations on the connection that is handed over, inside its transaction."""

from __future__ import annotations

from alembic import context

from switch.store.columns import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
