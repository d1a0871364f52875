"""What one gateway process remembers of those who use the dashboard: wrong tokens by address, sessions, open streams.

Part of `gateway.state.Gateway`, so it loads nothing of the pages.
"""

from collections import OrderedDict
from typing import Any

from gateway.tenant_shares import TenantShares
from gateway.throttle import Throttle
from meetingpool.domain.access import ApiToken

WRONG_TOKENS_A_MINUTE = 10
STREAMS_OF_A_TOKEN = 16
MAX_STREAMS = 128
# For how many seconds somebody who was signed in a moment ago may go on reading while the database is away.
REMEMBERED_FOR = 600.0
_MAX_REMEMBERED = 256
_EVERYBODY = ""


class Door:
    """Of one process. Times are monotonic, in seconds."""

    def __init__(self) -> None:
        self.wrong_tokens = Throttle(limit=WRONG_TOKENS_A_MINUTE, window=60.0)
        # Drawn by `history.py`, for all who look.
        self.history: Any = None
        self._all_streams = TenantShares(MAX_STREAMS)
        self._streams = TenantShares(STREAMS_OF_A_TOKEN)
        self._remembered: OrderedDict[bytes, tuple[ApiToken, float]] = OrderedDict()

    def remember(self, session: bytes, token: ApiToken, now: float) -> None:
        """Somebody was found signed in. `session`: the digest of the cookie."""
        self._remembered[session] = token, now
        self._remembered.move_to_end(session)
        if len(self._remembered) > _MAX_REMEMBERED:
            self._remembered.popitem(last=False)

    def remembered(self, session: bytes, now: float) -> ApiToken | None:
        token, seen_at = self._remembered.get(session, (None, 0.0))
        return token if now - seen_at < REMEMBERED_FOR else None

    def forget(self, session: bytes) -> None:
        """Somebody signed out, or is not signed in."""
        self._remembered.pop(session, None)

    def open_stream(self, token: ApiToken) -> bool:
        """Whether the token may have one more stream; if so, it has one more until `close_stream`."""
        if not self._all_streams.enter(_EVERYBODY):
            return False
        if self._streams.enter(token.id):
            return True
        self._all_streams.leave(_EVERYBODY)
        return False

    def close_stream(self, token: ApiToken) -> None:
        self._streams.leave(token.id)
        self._all_streams.leave(_EVERYBODY)
