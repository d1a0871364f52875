"""Who may do what: the roles of the management API, of the dashboard, and of nothing else."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from meetingpool.domain.registrations import RegistrationRules


class Role(StrEnum):
    """Of a token."""

    ADMIN = "admin"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    TENANT_ADMIN = "tenant-admin"
    SERVER = "server"


class Permission(StrEnum):
    """What a request needs."""

    READ_POOL = "read_pool"
    CHANGE_SERVERS = "change_servers"
    ADD_AND_REMOVE_SERVERS = "add_and_remove_servers"
    REGISTER_SERVERS = "register_servers"
    READ_MEETINGS = "read_meetings"
    END_MEETINGS = "end_meetings"
    READ_RECORDINGS = "read_recordings"
    CHANGE_RECORDINGS = "change_recordings"
    ASSIGN_RECORDINGS = "assign_recordings"
    READ_QUARANTINE = "read_quarantine"
    CHANGE_QUARANTINE = "change_quarantine"
    READ_TENANTS = "read_tenants"
    CHANGE_TENANTS = "change_tenants"
    READ_CALLBACKS = "read_callbacks"
    RETRY_CALLBACKS = "retry_callbacks"
    READ_USAGE = "read_usage"
    READ_AUDIT = "read_audit"
    READ_ALERTS = "read_alerts"
    CHANGE_ALERTS = "change_alerts"
    READ_TOKENS = "read_tokens"
    CHANGE_TOKENS = "change_tokens"
    SHOW_SECRETS = "show_secrets"


_OF_TENANT = frozenset(
    {
        Permission.READ_MEETINGS,
        Permission.END_MEETINGS,
        Permission.READ_RECORDINGS,
        Permission.CHANGE_RECORDINGS,
        Permission.READ_TENANTS,
        Permission.READ_CALLBACKS,
        Permission.RETRY_CALLBACKS,
        Permission.READ_USAGE,
        Permission.READ_AUDIT,
    }
)
_READING = frozenset(permission for permission in Permission if permission.startswith("read_"))

# An operator keeps the pool running; who is in it, and who may do what, is for administrators. These add servers; registering is
# for servers, whose tokens say what may come of it.
PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission) - {Permission.REGISTER_SERVERS},
    Role.OPERATOR: (_READING - {Permission.READ_TOKENS})
    | {
        Permission.CHANGE_SERVERS,
        Permission.END_MEETINGS,
        Permission.CHANGE_RECORDINGS,
        Permission.ASSIGN_RECORDINGS,
        Permission.CHANGE_QUARANTINE,
        Permission.RETRY_CALLBACKS,
    },
    Role.AUDITOR: _READING,
    Role.TENANT_ADMIN: _OF_TENANT,
    Role.SERVER: frozenset({Permission.REGISTER_SERVERS}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A token as it is kept. `tenant`: the id of the only one whose things it sees and changes; None: all.

    `registers`: what one of the role server may register; None for the others.
    """

    id: str
    name: str
    role: Role
    tenant: str | None = None
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    registers: RegistrationRules | None = None

    def may(self, permission: Permission) -> bool:
        return permission in PERMISSIONS[self.role]
