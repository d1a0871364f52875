"""What servers can carry that have no limits of their own, and which limits go together."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from meetingpool.domain.servers import InvalidServer, Server

LIMITS = ("max_meetings", "max_users", "soft_meetings", "soft_users")
_MOST = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits as a server has them. None: no limit."""

    max_meetings: int | None = None
    max_users: int | None = None
    soft_meetings: int | None = None
    soft_users: int | None = None

    def fill_in(self, server: Server) -> Server:
        """The server with these limits where it has none of its own."""
        missing = {name: limit for name, limit in asdict(self).items() if limit is not None and getattr(server, name) is None}
        return replace(server, **missing) if missing else server


NO_LIMITS = Limits()


def limits_of(server: Server) -> dict[str, int | None]:
    """The server's own."""
    return {name: getattr(server, name) for name in LIMITS}


def checked_limits(limits: Mapping[str, int | None]) -> dict[str, int | None]:
    """Limits by their column; None takes one away. Raises InvalidServer."""
    for name, limit in limits.items():
        if limit is not None and not 1 <= limit <= _MOST:
            raise InvalidServer(
                f"{name} must be a whole number from 1; a server that is to get no meetings is cordoned or disabled"
            )
    return dict(limits)


def require_soft_below_hard(limits: Mapping[str, int | None]) -> None:
    """Raises InvalidServer if a soft limit is above the hard one, which would then be the only one that counts."""
    for what in ("meetings", "users"):
        soft, hard = limits.get(f"soft_{what}"), limits.get(f"max_{what}")
        if soft is not None and hard is not None and soft > hard:
            raise InvalidServer(f"soft_{what} must not be above max_{what}: {soft} is more than {hard}")
