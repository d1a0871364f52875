"""What servers can carry as the settings say. Called by the gateway."""

from meetingpool.domain.server_limits import Limits
from meetingpool.settings import Settings


def default_limits(settings: Settings) -> Limits:
    return Limits(
        max_meetings=settings.server_max_meetings,
        max_users=settings.server_max_users,
        soft_meetings=settings.server_soft_meetings,
        soft_users=settings.server_soft_users,
    )
