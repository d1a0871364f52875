"""How many people there were: lines for all servers, and the curve of the pool; how much room there is for more.

Read and drawn once for all who look.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter

from markupsafe import Markup

from gateway.dashboard.charts import Series, sparkline
from gateway.dashboard.visits import Visit
from meetingpool.database.capacity import read_capacity
from meetingpool.database.engine import Connection
from meetingpool.database.overviews import Sample, age_of_history, people_lines
from meetingpool.domain.capacity import Capacity
from meetingpool.domain.usage import ALL
from meetingpool.operations.capacity import capacity_rules, pool_capacity

# How long lines are, and their steps.
MINUTES = timedelta(minutes=10), timedelta(seconds=10)
HOUR, DAY = (timedelta(hours=1), timedelta(minutes=1)), (timedelta(days=1), timedelta(minutes=30))
# Of a pool that is new a day would show nothing: up to which age what is shown.
_SPANS = ((timedelta(minutes=10), "10 min", MINUTES), (timedelta(hours=2), "1 h", HOUR), (timedelta.max, "24 h", DAY))
# Seconds for which what was drawn serves: history grows by a point every few minutes.
KEPT_FOR = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolHistory:
    """`lines` by the ids of servers; `read_at` on the monotonic clock."""

    read_at: float
    span: str
    lines: Mapping[str, Markup]
    pool: Series
    capacity: Capacity


async def pool_history(visit: Visit, connection: Connection) -> PoolHistory:
    known: PoolHistory | None = visit.gateway.door.history
    now = visit.gateway.clock.monotonic()
    if known and now - known.read_at < KEPT_FOR:
        return known
    age = await age_of_history(connection)
    span, (whole, step) = next((span, steps) for oldest, span, steps in _SPANS if age <= oldest)
    begin = begin_of(visit, whole, step)
    found = await people_lines(connection, begin, step, int(whole / step))
    series = {server: Series(name="people", begin=begin, step=step, values=values) for server, values in found.items()}
    pool = series.pop(ALL, Series(name="people", begin=begin, step=step, values=()))
    top, label = max((each.highest for each in series.values()), default=0.0), f"People over {span}"
    lines = {server: sparkline(each, top, label) for server, each in series.items()}
    capacity = pool_capacity(await read_capacity(connection), capacity_rules(visit.gateway.settings))
    drawn = PoolHistory(read_at=now, span=span, lines=lines, pool=pool, capacity=capacity)
    visit.gateway.door.history = drawn
    return drawn


def begin_of(visit: Visit, whole: timedelta, step: timedelta) -> datetime:
    """When the first of the steps begins, the last of which is going on. They begin at round times."""
    now = visit.gateway.clock.epoch()
    end = (now // step.total_seconds() + 1) * step.total_seconds()
    return datetime.fromtimestamp(end, UTC) - whole


def values_of(found: Mapping[int, Sample], places: int, value: Callable[[Sample], float] = itemgetter(0)) -> list[float | None]:
    """The people in each of the steps, or another `value`; None where nothing was seen."""
    return [value(found[place]) if place in found else None for place in range(places)]
