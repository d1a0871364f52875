"""A server of the pool: what the administrator wants of it, what polling saw of it, and what it carries."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType
from urllib.parse import urlsplit

from meetingpool.domain.refusals import Invalid

ServerId = NewType("ServerId", str)

# Labels of a host name, or an IPv6 address.
_HOST = re.compile(r"[^\s.:/]{1,63}(\.[^\s.:/]{1,63})*\.?|[0-9a-f:.]+")


class InvalidServer(Invalid):
    """A value that a server cannot have."""


class AdminState(StrEnum):
    """What the administrator wants."""

    ENABLED = "enabled"
    CORDONED = "cordoned"
    DISABLED = "disabled"


class Health(StrEnum):
    """What polling saw. Offline gets nothing new; only dead releases a meeting."""

    ONLINE = "online"
    SUSPECT = "suspect"
    OFFLINE = "offline"
    DEAD = "dead"


class Standing(StrEnum):
    """What became of a registration: renewed in time, not renewed any more, or ended by the server itself."""

    HELD = "held"
    LAPSED = "lapsed"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """How a server registered itself: with which token, and until when that holds or held.

    `state`: what a renewal makes of the server; None when an administrator decided on its state since.
    """

    token: str
    standing: Standing = Standing.HELD
    state: AdminState | None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One media host. `load` is in expected users times `load_multiplier`; `url` is the endpoint of its BBB API.

    `soft_meetings`, `soft_users`: what it is to carry while others have room; `max_meetings`, `max_users`: what it can carry at
    all. None: no limit. People count as the load does, those who are expected included. `handicap`: load that it is compared
    with others by while it starts slowly, beside what it carries.
    """

    id: ServerId
    url: str
    secret: str = field(repr=False)
    admin_state: AdminState = AdminState.DISABLED
    health: Health = Health.OFFLINE
    load: float = 0.0
    load_multiplier: float = 1.0
    handicap: float = 0.0
    tags: frozenset[str] = frozenset()
    region: str | None = None
    max_meetings: int | None = None
    max_users: int | None = None
    soft_meetings: int | None = None
    soft_users: int | None = None
    meetings: int = 0
    users: int = 0
    largest_meeting: int = 0
    videos: int = 0
    bbb_version: str | None = None
    last_poll: datetime | None = None
    registration: Registration | None = None

    @property
    def takes_new_meetings(self) -> bool:
        return self.admin_state is AdminState.ENABLED and self.health in (Health.ONLINE, Health.SUSPECT)

    @property
    def serves_joins(self) -> bool:
        """An offline server may well be up for its users; a disabled or a dead one is not."""
        return self.admin_state is not AdminState.DISABLED and self.health is not Health.DEAD

    @property
    def host_name(self) -> str:
        return urlsplit(self.url).hostname or self.id


def normal_url(url: str) -> str:
    """`url` as the endpoint of a BBB API, ending in a slash. Raises ValueError with the sentence for the administrator."""
    try:
        parts = urlsplit(url.strip())
        has_host = bool(_HOST.fullmatch(parts.hostname or "")) and parts.port != 0
    except ValueError:
        has_host = False
    if not has_host or parts.scheme not in ("http", "https"):
        raise ValueError("Server URL must start with http:// or https:// and name a host")
    if parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError("Server URL must not hold a user, a query or a fragment")
    path = parts.path.rstrip("/") or "/bigbluebutton/api"
    return f"{parts.scheme}://{parts.netloc}{path}/"
