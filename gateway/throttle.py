"""How often somebody may be wrong: counts failures by source, and says for how long a source is not welcome.

For telephone PINs, the password of /fsapi, and checksums. Asking about a source that never failed costs one look-up.
"""

import socket
from collections import OrderedDict
from typing import NamedTuple

MAX_SOURCE_LENGTH = 64
_IPV4_MAPPED = bytes(10) + b"\xff\xff"


class _Record(NamedTuple):
    """`forgiven_at`: when all failures so far count no more. `penalty`: how long the last wait is, which ends at `welcome_at`."""

    forgiven_at: float
    penalty: float
    welcome_at: float


class Throttle:
    """A source may fail `limit` times within `window` seconds, each failure being forgiven after its share of that time.

    When that many are unforgiven, it is not welcome for one share, then for twice as long each time, but never longer than
    `longest` seconds. It is forgotten when all is forgiven and it was welcome for a `window`. So a source that many people share
    is welcome again as soon as they fail no more often than they may. Of more than `capacity` sources, the one that was seen
    least recently is forgotten. Times are monotonic, in seconds.
    """

    def __init__(self, *, limit: int, window: float, longest: float = 300.0, capacity: int = 10_000) -> None:
        self._share = window / limit
        self._window = window
        self._longest = longest
        self._capacity = capacity
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def note_failure(self, source: str, now: float) -> None:
        known = self._remembered(source, now) or _Record(now, 0.0, now)
        self._records[source] = self._after_failure(known, now)
        if len(self._records) > self._capacity:
            self._records.popitem(last=False)

    def retry_after(self, source: str, now: float) -> float:
        """Seconds until the source is welcome again; 0.0 when it is."""
        if source not in self._records:
            return 0.0
        known = self._remembered(source, now)
        return max(0.0, known.welcome_at - now) if known else 0.0

    def _after_failure(self, known: _Record, now: float) -> _Record:
        forgiven_at = max(known.forgiven_at, now) + self._share
        # The window is full with its last share; half a share less, so that rounding decides nothing.
        if forgiven_at - now < self._window - self._share / 2:
            return known._replace(forgiven_at=forgiven_at)
        penalty = min(self._longest, 2 * known.penalty or self._share)
        return _Record(min(forgiven_at, now + self._window), penalty, now + penalty)

    def _remembered(self, source: str, now: float) -> _Record | None:
        known = self._records.get(source)
        if known is None:
            return None
        is_quiet = not known.penalty or known.welcome_at + self._window <= now
        if is_quiet and known.forgiven_at <= now:
            del self._records[source]
            return None
        self._records.move_to_end(source)
        return known


def source_of(host: str) -> str:
    """What failures from the address `host` are counted under: itself, or of an IPv6 address its network of 64 bits.

    One household has such a network to itself, and would otherwise have as many sources as it likes.
    """
    if ":" not in host:
        return host[:MAX_SOURCE_LENGTH]
    try:
        packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    except (OSError, ValueError):
        return host[:MAX_SOURCE_LENGTH]
    if packed.startswith(_IPV4_MAPPED):
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return socket.inet_ntop(socket.AF_INET6, packed[:8] + bytes(8)) + "/64"
