"""Who changes something, and what is kept of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class ActorKind(StrEnum):
    """How somebody came to change something."""

    COMMAND = "command"
    TOKEN = "token"  # noqa: S105
    DASHBOARD = "dashboard"
    SCALELITE_API = "scalelite_api"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """`name`: the account on this machine, the token, or the process; `address`: where the request came from."""

    kind: ActorKind
    name: str
    address: str | None = None
    request_id: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change. `action` is noun and verb, as `servers.cordon`; `before` and `after` hold what was changed, and no secret."""

    id: int
    at: datetime
    actor: Actor
    action: str
    subject: str
    tenant: str | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
