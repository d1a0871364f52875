"""Alembic's entry: runs the revisions on the connection it is handed, one process at a time."""

from alembic import context
from sqlalchemy import Connection

from meetingpool.database.foresight_tables import metadata


def run_on(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, compare_server_default=False)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run_on(given)
else:
    raise SystemExit("Call `meetingpool db upgrade`: it knows the database and lets one process migrate at a time")
