"""How much of the pool was used, month by month."""

import csv
import io
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from starlette.responses import Response

from gateway.dashboard.answers import SECURITY_HEADERS, View
from gateway.dashboard.visits import Visit
from meetingpool.domain.access import Permission
from meetingpool.domain.usage import UsageBy, UsageQuery, Used, midnight, this_month
from meetingpool.operations.records import tenant_names
from meetingpool.operations.usage import usage, usage_record

_MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
_SHOWN = {"tenant": UsageBy.TENANT, "server": UsageBy.SERVER, "day": UsageBy.DAY}
MONTHS_BACK = 13


async def show_usage(visit: Visit) -> View:
    query = _query(visit)
    async with visit.database.transaction() as connection:
        used, tenants = await usage(connection, query), await tenant_names(connection)
    values = {
        "used": [usage_record(each, query, tenants) for each in used],
        "most": max((each.person_seconds for each in used), default=0.0),
        "by": query.by,
        "kinds": _kinds(visit),
        "month": f"{query.begin:%Y-%m}",
        "months": _months(visit),
        "person_hours": sum(each.person_seconds for each in used) / 3600,
        "meeting_hours": sum(each.meeting_seconds for each in used) / 3600,
    }
    return View(template="usage.html", title="Usage", values=values)


async def usage_csv(visit: Visit) -> Response:
    """The same as a table for other programs."""
    query = _query(visit)
    async with visit.database.transaction() as connection:
        used, tenants = await usage(connection, query), await tenant_names(connection)
    headers = {
        **SECURITY_HEADERS,
        "cache-control": "no-store",
        "content-disposition": f'attachment; filename="usage-{query.begin:%Y-%m}-by-{query.by}.csv"',
    }
    return Response(_table(used, query, tenants), headers=headers, media_type="text/csv")


def _table(used: Sequence[Used], query: UsageQuery, tenants: dict[str, str]) -> str:
    written = io.StringIO()
    table = csv.writer(written)
    for number, each in enumerate(used):
        record = usage_record(each, query, tenants)
        if number == 0:
            table.writerow(record)
        table.writerow(map(_cell, record.values()))
    return written.getvalue()


def _cell(value: object) -> object:
    # Programs for tables take what begins so for a formula.
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _query(visit: Visit) -> UsageQuery:
    month, kinds = visit.asked("month"), _kinds(visit)
    today = datetime.fromtimestamp(visit.gateway.clock.epoch(), UTC)
    begin = midnight(date.fromisoformat(f"{month}-01"), UTC) if _MONTH.fullmatch(month) else this_month(today, UTC)
    end = this_month(begin + timedelta(days=32), UTC)
    wanted = visit.asked("by")
    by = _SHOWN[wanted if wanted in kinds else kinds[0]]
    return UsageQuery(begin=begin, end=end, by=by, tenant=visit.token.tenant)


def _kinds(visit: Visit) -> list[str]:
    """By what usage can be shown. Which servers there are is not for a tenant's administrator."""
    return [kind for kind in _SHOWN if kind != "server" or visit.may(Permission.READ_POOL)]


def _months(visit: Visit) -> list[str]:
    at = datetime.fromtimestamp(visit.gateway.clock.epoch(), UTC)
    months = []
    for _ in range(MONTHS_BACK):
        months.append(f"{at:%Y-%m}")
        at = this_month(at, UTC) - timedelta(days=1)
    return months
