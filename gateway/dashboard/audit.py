"""Who changed what, and when."""

from gateway.dashboard.answers import View
from gateway.dashboard.paging import ROWS, Rows, query
from gateway.dashboard.visits import Visit, filters_of
from meetingpool.database.audit import find_audit
from meetingpool.operations.records import audit_record, tenant_names

NOUNS = (
    "servers",
    "meetings",
    "recordings",
    "quarantine",
    "callbacks",
    "tenants",
    "rules",
    "alerts",
    "tokens",
    "sessions",
    "keys",
)


async def show_audit(visit: Visit) -> View:
    asked = filters_of(visit, "action", "subject")
    before = visit.asked("before")
    async with visit.database.transaction() as connection:
        found = await find_audit(
            connection,
            tenant=visit.token.tenant,
            action=asked["action"] or None,
            subject=asked["subject"] or None,
            before_id=int(before) if before.isascii() and before.isdecimal() and len(before) < 18 else None,
            limit=ROWS + 1,
        )
        tenants = await tenant_names(connection)
    entries = [audit_record(each, tenants) for each in found[:ROWS]]
    older = query(asked, before=str(entries[-1]["id"])) if len(found) > ROWS else None
    values = {"listed": Rows(rows=entries, older=older), "asked": asked, "nouns": NOUNS, "is_first": not before}
    return View(template="audit.html", title="Audit", values=values)
