"""Who comes in to the management API: from which address, with which token. Part of `gateway.state.Gateway`, so it loads little.

Tokens are long and random: nobody guesses one. Wrong ones are counted by address, so that whoever tries does not keep the
database busy; a token that was right lately is let in whatever others do who share its address.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from math import ceil

from gateway.client_networks import ClientNetworks
from gateway.tally import Tally
from gateway.tenant_shares import TenantShares
from gateway.throttle import Throttle, source_of
from meetingpool.domain.access import ApiToken
from meetingpool.logs import get_logger

# Requests that a process works on at once. They have few connections to the database, for which they wait.
MAX_REQUESTS = 32
_MAX_REMEMBERED = 1000
_EVERYBODY = ""

# Finds whose a token is; None when it does not count.
Find = Callable[[str], Awaitable[ApiToken | None]]

log = get_logger()


class TokenRefused(Exception):
    """The token does not count. `retry_after`: seconds for which the address is to wait, 0 when it need not."""

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after


class Admission:
    """What one process remembers of those who call it. Times are monotonic, in seconds."""

    def __init__(self, networks: Collection[str], *, wrong_tokens_per_minute: int) -> None:
        self.networks = ClientNetworks(networks)
        self._wrong = Throttle(limit=wrong_tokens_per_minute, window=60.0)
        self._tally = Tally()
        self._right: OrderedDict[int, None] = OrderedDict()
        self._places = TenantShares(MAX_REQUESTS)

    async def token_of(self, plain: str, host: str, now: float, find: Find) -> ApiToken:
        """The token that somebody at the address `host` sends. Raises TokenRefused, or what `find` does."""
        source, known = source_of(host), hash(plain)
        if known not in self._right and (wait := self._wrong.retry_after(source, now)):
            self._note_wrong(source, now)
            raise TokenRefused(ceil(wait))
        token = await find(plain)
        if token is None:
            self._right.pop(known, None)
            self._wrong.note_failure(source, now)
            self._note_wrong(source, now)
            raise TokenRefused(0)
        self._right[known] = None
        self._right.move_to_end(known)
        if len(self._right) > _MAX_REMEMBERED:
            self._right.popitem(last=False)
        return token

    def enter(self) -> bool:
        """Whether one more request may be worked on; if so, it is until `leave`."""
        return self._places.enter(_EVERYBODY)

    def leave(self) -> None:
        self._places.leave(_EVERYBODY)

    def _note_wrong(self, source: str, now: float) -> None:
        if count := self._tally.note(source, now):
            log.warning("management_tokens_refused", address=source, count=count)
