"""The tenants' access to their stores of learning records, for the creates of one gateway process.

A token is fetched before a create begins, and serves all creates of its tenant until shortly before it ends. Nobody is kept from
meeting by a store of records: when there is no token, the create goes on without, and others need not wait for the same trouble.
"""

from dataclasses import dataclass

from gateway.shared_reads import SharedReads
from meetingpool.clock import Clock
from meetingpool.domain.tenants import LrsAccess, Tenant
from meetingpool.logs import get_logger
from meetingpool.operations.lrs_access import NoToken, password_access, token_access
from meetingpool.outward.client import Outward
from meetingpool.outward.errors import OutwardFailure

# Seconds that a create waits for a token at most, everything included.
TOKEN_TIMEOUT = 5.0
# Seconds before its end at which a token is fetched anew; of a token that ends sooner, half of its time.
MARGIN = 60.0
# Seconds after a failure during which nobody asks again.
PAUSE = 5.0

log = get_logger()


@dataclass(frozen=True, slots=True)
class _Known:
    """What the last fetch brought: None when it failed. `until` by the monotonic clock."""

    lrs: LrsAccess
    access: str | None
    until: float


class LearningRecords:
    """`outward` should give up after TOKEN_TIMEOUT."""

    def __init__(self, outward: Outward, clock: Clock) -> None:
        self._outward = outward
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._fetches = SharedReads()

    async def access_of(self, tenant: Tenant) -> str | None:
        """What a server needs to send the tenant's records, as JSON; None when they go nowhere, or cannot now."""
        lrs = tenant.lrs
        if lrs is None:
            return None
        if not lrs.uses_token:
            return password_access(lrs)
        known = self._known.get(tenant.id)
        if known and known.lrs == lrs and self._clock.monotonic() < known.until:
            return known.access
        return await self._fetches.read(tenant.id, lrs, lambda: self._fetch(tenant, lrs))

    async def _fetch(self, tenant: Tenant, lrs: LrsAccess) -> str | None:
        try:
            token = await token_access(self._outward, lrs)
        except (OutwardFailure, NoToken) as error:
            log.warning("lrs_token_failed", tenant=tenant.name, reason=str(error))
            self._known[tenant.id] = _Known(lrs, None, self._clock.monotonic() + PAUSE)
            return None
        good_for = max(token.lifetime - MARGIN, token.lifetime / 2)
        self._known[tenant.id] = _Known(lrs, token.access, self._clock.monotonic() + good_for)
        return token.access
