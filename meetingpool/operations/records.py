"""What is shown of servers, meetings, tenants, callbacks, tokens and changes, under names that scripts rely on.

The same objects by `--format json`, by the management API, whose document is made from these types, and on the dashboard. Whose
something is, is shown by the name of the tenant; `tenant_names` knows them all. Recordings are in `recording_records.py`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, NotRequired, TypedDict, cast

from msgspec import Meta

from meetingpool.database.engine import Connection
from meetingpool.database.outbox import Kept
from meetingpool.database.tenants import TenantRule, all_tenants
from meetingpool.domain.access import ApiToken, Role
from meetingpool.domain.announcements import AnnouncementState
from meetingpool.domain.audit import ActorKind, AuditEntry
from meetingpool.domain.meetings import DEFAULT_TENANT, Meeting, MeetingState
from meetingpool.domain.parameters import Operator
from meetingpool.domain.past_meetings import PastMeeting
from meetingpool.domain.registrations import RegistrationRules
from meetingpool.domain.rule_notation import written
from meetingpool.domain.servers import AdminState, Health, Server, Standing
from meetingpool.domain.tenants import LrsAccess, Tenant

# With its time zone.
Moment = Annotated[datetime, Meta(tz=True)]


class ServerRecord(TypedDict):
    """A server. `admin_state` is what the administrator wants, `health` what polling saw; `load` in users and the multiplier.

    Limits are the server's own; null where the settings decide, or nothing limits it. `registered_by`: the token with which it
    registered itself; null: an administrator added it.
    """

    id: str
    url: str
    admin_state: AdminState
    health: Health
    load: float
    load_multiplier: float
    tags: list[str]
    region: str | None
    meetings: int
    users: int
    largest_meeting: int
    videos: int
    bbb_version: str | None
    last_poll: Moment | None
    max_meetings: int | None
    max_users: int | None
    soft_meetings: int | None
    soft_users: int | None
    registered_by: str | None
    registration: Standing | None
    registered_until: Moment | None
    secret: NotRequired[str]


class MeetingRecord(TypedDict):
    """A meeting and the server that carries it."""

    id: str
    tenant: str
    server: str
    state: MeetingState
    users: int
    created_at: Moment | None


class PastMeetingRecord(TypedDict):
    """A meeting that is over. `peak_people`: the most at the end of a minute."""

    id: str
    tenant: str
    server: str
    began_at: Moment
    ended_at: Moment
    peak_people: int


class TenantRecord(TypedDict):
    """A tenant; null where the settings decide, or nothing limits it. `meetings` and `rules`: how many it has."""

    id: str
    name: str
    secret_count: int
    checksum_algorithms: list[str] | None
    server_tags: list[str] | None
    max_meetings: int | None
    max_users: int | None
    callback_hosts: list[str] | None
    region: str | None
    lrs_endpoint: str | None
    meetings: int
    rules: int
    secrets: NotRequired[list[str]]


class TenantDetails(TenantRecord):
    """A tenant with its rules, and how its learning records are sent, without what is secret of that."""

    lrs_username: NotRequired[str]
    kc_token_url: NotRequired[str]
    kc_client_id: NotRequired[str]
    kc_username: NotRequired[str]
    create_rules: list[str]
    join_rules: list[str]


class RuleRecord(TypedDict):
    """A rule on the parameters of a tenant's calls, as it is written and in its parts."""

    id: int
    call: str
    rule: str
    operator: Operator
    name: str
    value: str


class CallbackRecord(TypedDict):
    """A callback to a front end, or an alert, which has no tenant or meeting. Of its address the host: the rest may be secret."""

    id: int
    tenant: str | None
    meeting: str | None
    kind: str
    host: str
    state: AnnouncementState
    attempts: int
    next_attempt: Moment | None
    last_error: str | None
    url: NotRequired[str]


class RulesRecord(TypedDict):
    """What a token of the role server may register. `tags`, `region`, `load_multiplier`: null where servers say so themselves."""

    enters: AdminState
    hosts: list[str]
    tags: list[str] | None
    region: str | None
    load_multiplier: float | None
    replaces: list[str]


class TokenRecord(TypedDict):
    """A token of the management API, which itself is shown when it is made, and never again."""

    id: str
    name: str
    role: Role
    tenant: str | None
    created_at: Moment
    created_by: str
    expires_at: Moment | None
    last_used_at: Moment | None
    revoked_at: Moment | None
    registers: RulesRecord | None


class AuditRecord(TypedDict):
    """A change: who made it, how and from where, and to what. `before` and `after` hold what was changed, and no secret."""

    id: int
    at: Moment
    actor_kind: ActorKind
    actor: str
    address: str | None
    request_id: str | None
    action: str
    subject: str
    tenant: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def names_of(record: type) -> tuple[str, ...]:
    """The names that a kind of record always has, in their order."""
    always: frozenset[str] = getattr(record, "__required_keys__", frozenset())
    return tuple(name for name in record.__annotations__ if name in always)


async def tenant_names(connection: Connection) -> dict[str, str]:
    """What people call the tenants, by their ids. A tenant that was removed has its id only."""
    return {tenant.id: tenant.name for tenant in await all_tenants(connection)} | {DEFAULT_TENANT: DEFAULT_TENANT}


def server_record(server: Server, *, show_secret: bool = False) -> ServerRecord:
    record = ServerRecord(
        id=server.id,
        url=server.url,
        admin_state=server.admin_state,
        health=server.health,
        load=server.load,
        load_multiplier=server.load_multiplier,
        tags=sorted(server.tags),
        region=server.region,
        meetings=server.meetings,
        users=server.users,
        largest_meeting=server.largest_meeting,
        videos=server.videos,
        bbb_version=server.bbb_version,
        last_poll=server.last_poll,
        max_meetings=server.max_meetings,
        max_users=server.max_users,
        soft_meetings=server.soft_meetings,
        soft_users=server.soft_users,
        registered_by=server.registration.token if server.registration else None,
        registration=server.registration.standing if server.registration else None,
        registered_until=server.registration.until if server.registration else None,
    )
    if show_secret:
        record["secret"] = server.secret
    return record


def meeting_record(meeting: Meeting, tenants: Mapping[str, str]) -> MeetingRecord:
    """`tenants`: names by ids, as for all of these."""
    return MeetingRecord(
        id=meeting.key.meeting_id,
        tenant=tenants.get(meeting.key.tenant, meeting.key.tenant),
        server=meeting.server_id,
        state=meeting.state,
        users=meeting.users,
        created_at=meeting.created_at,
    )


def past_meeting_record(meeting: PastMeeting, tenants: Mapping[str, str]) -> PastMeetingRecord:
    return PastMeetingRecord(
        id=meeting.key.meeting_id,
        tenant=tenants.get(meeting.key.tenant, meeting.key.tenant),
        server=meeting.server_id,
        began_at=meeting.began_at,
        ended_at=meeting.ended_at,
        peak_people=meeting.peak,
    )


def tenant_record(tenant: Tenant, meetings: int, *, show_secrets: bool = False) -> TenantRecord:
    """`meetings`: how many the tenant has."""
    record = TenantRecord(
        id=tenant.id,
        name=tenant.name,
        secret_count=len(tenant.secrets),
        checksum_algorithms=_listed(tenant.checksum_algorithms),
        server_tags=_listed(tenant.server_tags),
        max_meetings=tenant.max_meetings,
        max_users=tenant.max_users,
        callback_hosts=_listed(tenant.callback_hosts),
        region=tenant.region,
        lrs_endpoint=tenant.lrs.endpoint if tenant.lrs else None,
        meetings=meetings,
        rules=len(tenant.rules.create) + len(tenant.rules.join),
    )
    if show_secrets:
        record["secrets"] = list(tenant.secrets)
    return record


def tenant_details(tenant: Tenant, meetings: int, *, show_secrets: bool = False) -> TenantDetails:
    rules = {
        "create_rules": [written(rule) for rule in tenant.rules.create],
        "join_rules": [written(rule) for rule in tenant.rules.join],
    }
    return cast(TenantDetails, {**tenant_record(tenant, meetings, show_secrets=show_secrets), **_lrs_of(tenant.lrs), **rules})


def rule_record(rule: TenantRule) -> RuleRecord:
    return RuleRecord(
        id=rule.id,
        call=rule.call,
        rule=written(rule.rule),
        operator=rule.rule.operator,
        name=rule.rule.name,
        value=rule.rule.value,
    )


def callback_record(callback: Kept, tenants: Mapping[str, str], *, show_url: bool = False) -> CallbackRecord:
    record = CallbackRecord(
        id=callback.id,
        tenant=tenants.get(callback.tenant, callback.tenant) or None,
        meeting=callback.meeting_id or None,
        kind=callback.kind,
        host=callback.host,
        state=callback.state,
        attempts=callback.attempts,
        next_attempt=callback.next_attempt_at if callback.state is AnnouncementState.PENDING else None,
        last_error=callback.last_error,
    )
    if show_url:
        record["url"] = callback.url
    return record


def token_record(token: ApiToken, tenants: Mapping[str, str]) -> TokenRecord:
    return TokenRecord(
        id=token.id,
        name=token.name,
        role=token.role,
        tenant=None if token.tenant is None else tenants.get(token.tenant, token.tenant),
        created_at=token.created_at,
        created_by=token.created_by,
        expires_at=token.expires_at,
        last_used_at=token.last_used_at,
        revoked_at=token.revoked_at,
        registers=None if token.registers is None else _rules_record(token.registers),
    )


def _rules_record(rules: RegistrationRules) -> RulesRecord:
    return RulesRecord(
        enters=rules.enters,
        hosts=list(rules.hosts),
        tags=_listed(rules.tags),
        region=rules.region,
        load_multiplier=rules.load_multiplier,
        replaces=list(rules.replaces),
    )


def audit_record(entry: AuditEntry, tenants: Mapping[str, str]) -> AuditRecord:
    return AuditRecord(
        id=entry.id,
        at=entry.at,
        actor_kind=entry.actor.kind,
        actor=entry.actor.name,
        address=entry.actor.address,
        request_id=entry.actor.request_id,
        action=entry.action,
        subject=entry.subject,
        tenant=None if entry.tenant is None else tenants.get(entry.tenant, entry.tenant),
        before=None if entry.before is None else dict(entry.before),
        after=None if entry.after is None else dict(entry.after),
    )


def plain(value: object) -> Any:
    """A record, or part of one, as JSON has it: states as words, times in ISO 8601 and UTC."""
    match value:
        case datetime():
            return iso_time(value)
        case StrEnum():
            return str(value)
        case Mapping():
            return {name: plain(each) for name, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case _:
            return value


def iso_time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _lrs_of(lrs: LrsAccess | None) -> dict[str, str]:
    if lrs is None:
        return {}
    if not lrs.uses_token:
        return {"lrs_username": lrs.username}
    return {"kc_token_url": lrs.token_url, "kc_client_id": lrs.client_id, "kc_username": lrs.token_username}


def _listed(values: frozenset[str] | tuple[str, ...] | None) -> list[str] | None:
    return None if values is None else sorted(values)
