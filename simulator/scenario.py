"""Scenarios: which meetings start when, how many people come, and how long they stay. Data, read from TOML.

`python -m simulator --scenario NAME` reads one, `plan_round` turns it into meetings and people, and `front_end.py` plays
those. All times are seconds.
"""

import tomllib
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from random import Random
from typing import Any, TypeVar

SCENARIO_FOLDER = Path(__file__).parent / "scenarios"


class InvalidScenario(ValueError):
    """A sentence that names the file and the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Classes that start together, `spread` over some seconds. `people` and `stay` are smallest and largest."""

    at: float
    classes: int
    people: tuple[int, int]
    stay: tuple[float, float]
    spread: float = 0.0
    join_within: float = 0.0
    prefix: str = "class"
    end_when_empty: bool = False
    is_recorded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """Ad-hoc meetings at a steady rate from the start `until` a moment."""

    per_minute: float
    until: float
    people: tuple[int, int]
    stay: tuple[float, float]
    join_within: float = 0.0
    prefix: str = "ad-hoc"
    end_when_empty: bool = False
    is_recorded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`repeat_every`: a new round, with the same meeting ids, begins after so many seconds; 0 plays one round."""

    description: str = ""
    repeat_every: float = 0.0
    wave: tuple[Wave, ...] = ()
    steady: Steady | None = None


@dataclass(frozen=True, slots=True)
class PlannedPerson:
    """`joins_at` and `leaves_at` in seconds since the start of the round."""

    user_id: str
    full_name: str
    is_moderator: bool
    joins_at: float
    leaves_at: float


@dataclass(frozen=True, slots=True)
class PlannedMeeting:
    meeting_id: str
    name: str
    starts_at: float
    people: tuple[PlannedPerson, ...]
    end_when_empty: bool
    is_recorded: bool


def find_scenario(name_or_file: str) -> Path:
    """The file of a scenario that comes with the simulator, or the file that is named. Raises InvalidScenario."""
    for path in (SCENARIO_FOLDER / f"{name_or_file}.toml", Path(name_or_file)):
        if path.is_file():
            return path
    known = ", ".join(sorted(path.stem for path in SCENARIO_FOLDER.glob("*.toml")))
    raise InvalidScenario(f"There is no scenario {name_or_file!r}. Name a file, or one of: {known}.")


def read_scenario(path: Path) -> Scenario:
    """Raises InvalidScenario."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidScenario(f"{path}: not a TOML file: {error}") from None
    waves = values.pop("wave", [])
    steady = values.pop("steady", None)
    if not isinstance(waves, list):
        raise InvalidScenario(f"{path}: wave must be a list of tables, written [[wave]].")
    _read_table(Scenario, values, path, "")
    return Scenario(
        **values,
        wave=tuple(_read_table(Wave, wave, path, f"wave {number}: ") for number, wave in enumerate(waves, 1)),
        steady=None if steady is None else _read_table(Steady, steady, path, "steady: "),
    )


def plan_round(scenario: Scenario, random: Random) -> list[PlannedMeeting]:
    """One round of the scenario, in the order of starting."""
    planned = [
        _plan_meeting(wave, f"{wave.prefix}-{number + 1}", wave.at + random.uniform(0, wave.spread), random)
        for wave in scenario.wave
        for number in range(wave.classes)
    ]
    if steady := scenario.steady:
        number_of_meetings = int(steady.per_minute * steady.until / 60)
        planned += [
            _plan_meeting(steady, f"{steady.prefix}-{number + 1}", random.uniform(0, steady.until), random)
            for number in range(number_of_meetings)
        ]
    return sorted(planned, key=lambda meeting: meeting.starts_at)


def _plan_meeting(group: Wave | Steady, meeting_id: str, starts_at: float, random: Random) -> PlannedMeeting:
    people = []
    for number in range(random.randint(*group.people)):
        # The first person opens the meeting and is its moderator.
        joins_at = starts_at + (random.uniform(0, group.join_within) if number else 0.0)
        people.append(
            PlannedPerson(
                user_id=f"{meeting_id}-{number + 1}",
                full_name=f"Person {number + 1} of {meeting_id}",
                is_moderator=number == 0,
                joins_at=joins_at,
                leaves_at=joins_at + random.uniform(*group.stay),
            )
        )
    name = meeting_id.replace("-", " ").capitalize()
    return PlannedMeeting(meeting_id, name, starts_at, tuple(people), group.end_when_empty, group.is_recorded)


_Table = TypeVar("_Table", Wave, Steady, Scenario)


def _read_table(kind: type[_Table], values: Any, path: Path, where: str) -> _Table:
    if not isinstance(values, dict):
        raise InvalidScenario(f"{path}: {where}must be a table.")
    known = {field.name: field for field in fields(kind)}
    if unknown := sorted(values.keys() - known.keys()):
        raise InvalidScenario(f"{path}: {where}there is no field {unknown[0]!r}. Use one of: {', '.join(known)}.")
    needed = {name for name, field in known.items() if field.default is MISSING}
    if missing := sorted(needed - values.keys()):
        raise InvalidScenario(f"{path}: {where}the field {missing[0]!r} is missing.")
    return kind(**{name: _read_value(name, value, f"{path}: {where}") for name, value in values.items()})


def _read_value(name: str, value: Any, where: str) -> Any:
    match name:
        case "description" | "prefix":
            _require(isinstance(value, str) and value != "", where, name, "a text")
        case "end_when_empty" | "is_recorded":
            _require(isinstance(value, bool), where, name, "true or false")
        case "classes":
            _require(_is_amount(value, int), where, name, "a whole number, 0 or more")
        case "people":
            _require(_is_range(value, int), where, name, "two whole numbers, smallest first, as [5, 30]")
            return tuple(value)
        case "stay":
            _require(_is_range(value, int, float), where, name, "two numbers of seconds, smallest first, as [600, 2700]")
            return tuple(value)
        case _:
            _require(_is_amount(value, int, float), where, name, "a number, 0 or more")
    return value


def _is_amount(value: Any, *kinds: type) -> bool:
    is_number = isinstance(value, kinds) and not isinstance(value, bool)
    return bool(is_number and value >= 0)


def _is_range(value: Any, *kinds: type) -> bool:
    is_pair = isinstance(value, list) and len(value) == 2 and all(_is_amount(each, *kinds) for each in value)
    return bool(is_pair and value[0] <= value[1])


def _require(is_right: bool, where: str, name: str, expected: str) -> None:
    if not is_right:
        raise InvalidScenario(f"{where}the value of {name!r} is not usable. Use {expected}.")
