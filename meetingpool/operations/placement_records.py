"""Why a meeting is where it is, as `meetings show --why` and the management API show it, under names that scripts rely on."""

from collections.abc import Mapping
from typing import TypedDict

from meetingpool.database.engine import Connection
from meetingpool.domain.reasons import Cause, LookedAt, Placed, Reason, Source
from meetingpool.operations.find_meetings import last_placed_as
from meetingpool.operations.records import Moment, tenant_names


class CandidateRecord(TypedDict):
    """A server that was looked at, as it was then.

    `carried`: its load; `kept`: the load of larger meetings to come, for which room was kept on it; `handicap`: load that it was
    compared by beside these while it started slowly; `compared`: the sum. `remark`: what else made it worse than others.
    """

    server: str
    chosen: bool
    carried: float
    kept: float
    handicap: float
    compared: float
    remark: str


class ReasonRecord(TypedDict):
    """What a choice went by. `source`: how the expected users were known: by the room's own meetings, by what the front end said,
    or as what is typical. `tenant_tags`: the tenant may use servers with these; null: any. `looked_at` of the `open_servers`,
    which took new meetings, of all `servers` were compared, the least loaded first; `candidates` are the first of these and the
    chosen one, from the best to those that could not have the meeting.
    """

    expected_users: float
    source: Source
    tags: list[str]
    tags_required: bool
    tenant_tags: list[str] | None
    regions: list[str]
    moved_from: str | None
    moved_because: Cause | None
    servers: int
    open_servers: int
    looked_at: int
    candidates: list[CandidateRecord]


class PlacementRecord(TypedDict):
    """How a meeting got its server, the last time. `over`: it runs no more; `why`: null where nothing is known of the reason."""

    id: str
    tenant: str
    server: str
    placed_at: Moment
    over: bool
    why: ReasonRecord | None


async def explain_placement(connection: Connection, meeting_id: str, tenant: str | None) -> PlacementRecord:
    """Of the meeting with this id, or the last one that had it. Raises NoSuchMeeting or AmbiguousMeeting."""
    placed, is_over = await last_placed_as(connection, meeting_id, tenant)
    return placement_record(placed, await tenant_names(connection), is_over=is_over)


def placement_record(placed: Placed, tenants: Mapping[str, str], *, is_over: bool) -> PlacementRecord:
    """`tenants`: names by ids."""
    return PlacementRecord(
        id=placed.key.meeting_id,
        tenant=tenants.get(placed.key.tenant, placed.key.tenant),
        server=placed.server_id,
        placed_at=placed.at,
        over=is_over,
        why=_reason_record(placed.reason, placed) if placed.reason else None,
    )


def _reason_record(reason: Reason, placed: Placed) -> ReasonRecord:
    return ReasonRecord(
        expected_users=reason.users,
        source=reason.source,
        tags=list(reason.tags),
        tags_required=reason.is_required,
        tenant_tags=None if reason.within is None else list(reason.within),
        regions=list(reason.regions),
        moved_from=reason.left and reason.left.server_id,
        moved_because=reason.left and reason.left.cause,
        servers=reason.size.servers,
        open_servers=reason.size.open_servers,
        looked_at=reason.looked,
        candidates=[
            _candidate_record(each, reason, is_chosen=each.server_id == placed.server_id)
            for each in reason.compared(placed.server_id)
        ],
    )


def _candidate_record(candidate: LookedAt, reason: Reason, *, is_chosen: bool) -> CandidateRecord:
    return CandidateRecord(
        server=candidate.server_id,
        chosen=is_chosen,
        carried=candidate.load,
        kept=candidate.kept,
        handicap=candidate.handicap,
        compared=candidate.compared,
        remark=candidate.remark(reason.regions),
    )
