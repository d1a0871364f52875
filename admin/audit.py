"""What `audit list` shows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from admin.output import Column, Listing, iso_time
from meetingpool.clock import SystemClock
from meetingpool.database.audit import find_audit
from meetingpool.database.engine import Database
from meetingpool.domain.lengths import read_length
from meetingpool.domain.usage import read_moment
from meetingpool.operations.change_tenant import tenant_id_of
from meetingpool.operations.records import AuditRecord, audit_record, names_of, tenant_names

_COLUMNS = [
    Column("WHEN", lambda entry: iso_time(entry["at"])),
    Column("WHO", lambda entry: entry["actor"]),
    Column("HOW", lambda entry: entry["actor_kind"], can_be_spared=True),
    Column("FROM", lambda entry: entry["address"], can_be_spared=True),
    Column("ACTION", lambda entry: entry["action"]),
    Column("SUBJECT", lambda entry: entry["subject"]),
    Column("TENANT", lambda entry: entry["tenant"], can_be_spared=True),
    Column("CHANGE", lambda entry: _difference(entry["before"] or {}, entry["after"] or {}), can_be_spared=True),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    since: str | None
    subject: str | None
    action: str | None
    tenant: str | None
    limit: int


async def list_audit(database: Database, options: AuditOptions) -> Listing:
    """The newest first. Raises InvalidPeriod."""
    async with database.transaction() as connection:
        found = await find_audit(
            connection,
            tenant=await tenant_id_of(connection, options.tenant),
            subject=options.subject,
            action=options.action,
            since=_since(options.since),
            limit=options.limit + 1,
        )
        tenants = await tenant_names(connection)
    shown = found[: options.limit]
    more = "; there are older ones: --limit shows more" if len(found) > len(shown) else ""
    return Listing(
        names=names_of(AuditRecord),
        records=[audit_record(entry, tenants) for entry in shown],
        columns=_COLUMNS,
        when_empty="Nothing was changed",
        summary=f"{len(shown)} changes{more}",
    )


def _since(text: str | None) -> datetime | None:
    if text is None:
        return None
    length = read_length(text)
    return read_moment(text, UTC) if length is None else datetime.fromtimestamp(SystemClock().epoch(), UTC) - length


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What was changed, from what to what; of what came or went, how it is or was."""
    if not (before and after):
        return ", ".join(f"{name} {_shown(value)}" for name, value in (before or after).items())
    names = dict.fromkeys([*before, *after])
    return ", ".join(f"{name} {_shown(before.get(name))} -> {_shown(after.get(name))}" for name in names)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
