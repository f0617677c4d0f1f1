"""Run by Alembic: it works on the connection that `store.database` hands over, in its transaction."""

from alembic import context

from clinic_mm.store.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
