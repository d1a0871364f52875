from pathlib import Path
from random import Random

import pytest

from simulator.scenario import InvalidScenario, Scenario, Steady, Wave, find_scenario, plan_round, read_scenario

WAVE = "[[wave]]\nat = 0\nclasses = 2\npeople = [1, 2]\nstay = [10, 20]\n"


@pytest.mark.parametrize("name", ["morning", "demo"])
def test_scenarios_that_come_with_the_simulator_can_be_planned(name: str) -> None:
    scenario = read_scenario(find_scenario(name))

    assert scenario.description
    assert plan_round(scenario, Random(1))


def test_morning_starts_200_classes_within_a_minute() -> None:
    planned = plan_round(read_scenario(find_scenario("morning")), Random(1))

    assert sum(meeting.meeting_id.startswith("class-") and meeting.starts_at <= 60 for meeting in planned) == 200


def test_demo_shows_several_meetings_within_ten_seconds() -> None:
    planned = plan_round(read_scenario(find_scenario("demo")), Random(1))

    assert sum(meeting.starts_at < 10 for meeting in planned) >= 4


def test_file_is_read_into_values(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f"repeat_every = 60\n{WAVE}[steady]\nper_minute = 2\nuntil = 30\npeople = [1, 1]\nstay = [5, 5]\n")

    assert read_scenario(find_scenario(str(file))) == Scenario(
        repeat_every=60,
        wave=(Wave(at=0, classes=2, people=(1, 2), stay=(10, 20)),),
        steady=Steady(per_minute=2, until=30, people=(1, 1), stay=(5, 5)),
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("= 1", "not a TOML file"),
        ("speed = 2", "there is no field 'speed'"),
        ("wave = 1", "wave must be a list of tables"),
        ("wave = [1]", "wave 1: must be a table"),
        ("[[wave]]\nat = 0\nclasses = 1\nstay = [1, 2]", "wave 1: the field 'people' is missing"),
        (WAVE + WAVE.replace("[1, 2]", "[2, 1]"), "wave 2: the value of 'people' is not usable"),
        (WAVE.replace("[1, 2]", "[1.5, 2]"), "wave 1: the value of 'people' is not usable"),
        (WAVE.replace("[10, 20]", "10"), "wave 1: the value of 'stay' is not usable"),
        (WAVE + 'prefix = ""', "wave 1: the value of 'prefix' is not usable"),
        (WAVE + "end_when_empty = 1", "wave 1: the value of 'end_when_empty' is not usable"),
        ("[steady]\nper_minute = 1", "steady: the field 'people' is missing"),
        ("repeat_every = -1", "the value of 'repeat_every' is not usable"),
    ],
)
def test_mistake_is_told_with_its_file_and_field(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)

    with pytest.raises(InvalidScenario) as told:
        read_scenario(file)

    assert str(told.value).startswith(f"{file}: {sentence}")


def test_unknown_name_lists_the_scenarios_there_are() -> None:
    with pytest.raises(InvalidScenario, match=r"no scenario 'evening'\. Name a file, or one of: demo, morning\."):
        find_scenario("evening")


def test_plan_keeps_to_the_ranges_and_opens_every_meeting_with_a_moderator() -> None:
    wave = Wave(at=100, classes=50, spread=20, people=(2, 5), join_within=30, stay=(60, 90))

    planned = plan_round(Scenario(wave=(wave,)), Random(3))

    assert len({meeting.meeting_id for meeting in planned}) == 50
    assert [meeting.starts_at for meeting in planned] == sorted(meeting.starts_at for meeting in planned)
    for meeting in planned:
        assert 100 <= meeting.starts_at <= 120
        assert 2 <= len(meeting.people) <= 5
        assert [person.is_moderator for person in meeting.people] == [True] + [False] * (len(meeting.people) - 1)
        assert meeting.people[0].joins_at == meeting.starts_at
        for person in meeting.people:
            assert 0 <= person.joins_at - meeting.starts_at <= 30
            assert 60 <= person.leaves_at - person.joins_at <= 90


def test_same_seed_gives_the_same_plan() -> None:
    scenario = read_scenario(find_scenario("demo"))

    assert plan_round(scenario, Random(5)) == plan_round(scenario, Random(5))
    assert plan_round(scenario, Random(5)) != plan_round(scenario, Random(6))
