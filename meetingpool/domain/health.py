"""How polls become health: one failure is a suspicion, several are offline, many over a minute are dead.

A server that comes back again and again is held down for longer each time, and anew when it falls meanwhile. When more than half
of the pool fails at once, our own network is assumed broken, and nobody's health gets worse than it was.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from meetingpool.domain.servers import Health

DEAD_AFTER_FAILURES = 6
DEAD_AFTER_SECONDS = 60.0
HOLD_DOWN_STEP = 30.0
HOLD_DOWN_LIMIT = 600.0
FLAPS_FORGOTTEN_AFTER = 3600.0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How many polls in a row make a server offline (`fall`) and online again (`rise`)."""

    fall: int = 3
    rise: int = 1


@dataclass(frozen=True, slots=True)
class HealthRecord:
    """A server's health and what led to it.

    `failing_for`: seconds since the first failure of the current series; `offline_ago`: seconds since the server last
    went offline; `flaps`: how often it went offline lately.
    """

    health: Health = Health.OFFLINE
    failures: int = 0
    successes: int = 0
    failing_for: float = 0.0
    flaps: int = 0
    offline_ago: float = float("inf")


def after_success(record: HealthRecord, thresholds: Thresholds) -> HealthRecord:
    """The record after a poll that succeeded."""
    flaps = 0 if record.offline_ago > FLAPS_FORGOTTEN_AFTER else record.flaps
    seen = replace(record, failures=0, failing_for=0.0, successes=record.successes + 1, flaps=flaps)
    if record.health in (Health.ONLINE, Health.SUSPECT):
        return replace(seen, health=Health.ONLINE)
    if seen.successes < thresholds.rise or record.offline_ago < hold_down(flaps):
        return replace(seen, health=Health.OFFLINE)
    return replace(seen, health=Health.ONLINE)


def after_failure(record: HealthRecord, thresholds: Thresholds, *, panic: bool) -> HealthRecord:
    """The record after a poll that failed. While `panic` holds, health gets no worse than suspect or what it was.

    What failed during a panic says nothing of the server, so it counts as one failure, however long it lasted.
    """
    if record.health is Health.DEAD:
        return replace(record, failures=record.failures + 1, successes=0)
    if panic:
        health = Health.OFFLINE if record.health is Health.OFFLINE else Health.SUSPECT
        return replace(record, health=health, failures=1, successes=0)
    failed = replace(record, failures=record.failures + 1, successes=0)
    if failed.failures >= DEAD_AFTER_FAILURES and failed.failing_for >= DEAD_AFTER_SECONDS:
        return replace(_fallen(failed), health=Health.DEAD)
    if failed.failures >= thresholds.fall or record.health is Health.OFFLINE:
        return _fallen(failed, again=failed.failures == thresholds.fall and failed.flaps > 0)
    return replace(failed, health=Health.SUSPECT)


def hold_down(flaps: int) -> float:
    """Seconds that a server stays offline after its `flaps`-th fall; the first is forgiven."""
    return min(HOLD_DOWN_LIMIT, HOLD_DOWN_STEP * max(0, flaps - 1))


def half_of_the_pool_fails(outcomes: Iterable[bool]) -> bool:
    """True when more than half of the latest polls failed. A pool of one has no majority to ask."""
    answered = list(outcomes)
    return len(answered) > 1 and 2 * answered.count(False) > len(answered)


def _fallen(record: HealthRecord, *, again: bool = False) -> HealthRecord:
    """`again`: whether it answered since it fell last, so that this is another fall, even while it is held down."""
    if again or record.health in (Health.ONLINE, Health.SUSPECT):
        return replace(record, health=Health.OFFLINE, flaps=record.flaps + 1, offline_ago=0.0)
    return replace(record, health=Health.OFFLINE)
