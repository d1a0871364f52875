"""Which part of a gateway's places one tenant may take. Used by `gateway.bbb_api`."""

from collections import Counter


class TenantShares:
    """How many calls that need a server each tenant has under way: one whose servers hang must leave room for the others."""

    def __init__(self, share: int) -> None:
        self._share = share
        self._under_way: Counter[str] = Counter()

    def enter(self, tenant_id: str) -> bool:
        """Whether the tenant may have one more; if so, it has one more until `leave`."""
        if self._under_way[tenant_id] >= self._share:
            return False
        self._under_way[tenant_id] += 1
        return True

    def leave(self, tenant_id: str) -> None:
        self._under_way[tenant_id] -= 1
        if not self._under_way[tenant_id]:
            del self._under_way[tenant_id]
