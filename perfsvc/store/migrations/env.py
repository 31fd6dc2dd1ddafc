"""Alembic's door. The connection is given by store.engine.upgrade."""

from alembic import context

from perfsvc.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
