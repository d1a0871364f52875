"""A transaction in which somebody changes something, so that no change is without its entry in the audit.

Every operation that an administrator can ask for takes one. Opened by the command line, the management APIs and the dashboard.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from meetingpool.database.audit import write_audit
from meetingpool.database.engine import Connection, Database
from meetingpool.domain.audit import Actor

# What stands in the audit for a secret that was changed.
HIDDEN = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """What `actor` does with `connection` in one transaction."""

    connection: Connection
    actor: Actor

    async def note(
        self,
        action: str,
        subject: str,
        *,
        tenant: str | None = None,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Keeps in the audit what was done to `subject`: of what was changed, how it was before and is after, and no secret."""
        await write_audit(self.connection, self.actor, action, subject, tenant=tenant, before=before, after=after)


@asynccontextmanager
async def changing(database: Database, actor: Actor, *, dry_run: bool = False) -> AsyncIterator[Change]:
    """A transaction that does everything, refuses what is to be refused, and is thrown away at its end when `dry_run`."""
    with suppress(_ThrownAway):
        async with database.transaction() as connection:
            yield Change(connection, actor)
            if dry_run:
                raise _ThrownAway


class _ThrownAway(Exception):
    """Ends a transaction without a trace."""
