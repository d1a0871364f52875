"""How well meetings were spread, in figures.

At each look the people on the hottest server are divided by what nobody could avoid: the larger of the even share and the biggest
meeting. 1 is perfect. Only busy times count: with few people about, a server with three of them says nothing.
"""

from dataclasses import dataclass

from admin.simulation.replay import SAMPLED_EVERY, Replay, Sample
from meetingpool.domain.refusals import Invalid
from meetingpool.domain.timetable import DAY

# Busy: so large a part of the most people that the whole trace ever had at once.
BUSY = 0.3


class NothingBusy(Invalid):
    """A period without busy times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of the busy times of a period: `mean`, `p99` and `worst` of the ratio. `excess`: the mean's part above 1.

    `most_people`: on one server. `crowded_minutes`: minutes that people spent on servers with more people than their capacity, of
    `people_minutes` in all, at busy times or not.
    """

    busy_minutes: float
    mean: float
    excess: float
    p99: float
    worst: float
    most_people: float
    people_minutes: float
    crowded_minutes: float


def figures_of(played: Replay, from_day: int | None = None, to_day: int | None = None) -> Figures:
    """Of the days `from_day` to `to_day`, the last one included, the first being 0; by default of all. Raises NothingBusy."""
    least = BUSY * max((sample.people for sample in played.samples), default=0)
    samples = [sample for sample in played.samples if _is_within(sample.at, from_day, to_day)]
    ratios = sorted(_ratio(sample, played.servers) for sample in samples if sample.people >= least)
    if not ratios:
        raise NothingBusy("There are no busy times in these days of the trace: give another --from-day or --to-day")
    mean = sum(ratios) / len(ratios)
    minutes = SAMPLED_EVERY / 60
    return Figures(
        busy_minutes=len(ratios) * minutes,
        mean=mean,
        excess=mean - 1,
        p99=ratios[int(len(ratios) * 0.99)],
        worst=ratios[-1],
        most_people=max(sample.hottest for sample in samples),
        people_minutes=sum(sample.people for sample in samples) * minutes,
        crowded_minutes=sum(sample.crowded for sample in samples) * minutes,
    )


def _ratio(sample: Sample, servers: int) -> float:
    return sample.hottest / max(sample.people / servers, sample.biggest)


def _is_within(at: float, from_day: int | None, to_day: int | None) -> bool:
    day = at // DAY
    return (from_day is None or day >= from_day) and (to_day is None or day <= to_day)
