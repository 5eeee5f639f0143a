"""Runs migrations on the connection that `Store.migrate` hands over, all of them in its transaction."""

from __future__ import annotations

from alembic import context

from predictkpi.store.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, transactional_ddl=True)
context.run_migrations()
