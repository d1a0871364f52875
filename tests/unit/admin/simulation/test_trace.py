from io import StringIO
from pathlib import Path

import pytest

from admin.refusals import Refused
from admin.simulation.runs import runs_of
from admin.simulation.trace import InvalidTrace, TracedMeeting, parse_trace, read_trace, write_trace
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey

GOOD = '{"room": "t/a", "start": 5, "end": 9.5, "people": [[5, 7.25], [6, 9.5]]}'


def traced(room: str, start: float, end: float, *people: tuple[float, float]) -> TracedMeeting:
    return TracedMeeting(room=room, start=start, end=end, people=people)


def test_a_line_is_a_meeting() -> None:
    assert list(parse_trace([GOOD + "\n"])) == [traced("t/a", 5.0, 9.5, (5.0, 7.25), (6.0, 9.5))]


def test_empty_lines_and_what_else_a_line_says_are_passed_over() -> None:
    assert list(parse_trace(["\n", '{"room": "a", "start": 1, "end": 2, "people": [], "more": {}}', " \n"])) == [
        traced("a", 1, 2)
    ]


def test_what_was_written_is_read_again() -> None:
    trace = [traced("t/a", 0.5, 9.5, (0.5, 9.5)), traced("ü/b", 1, 2)]
    file = StringIO()

    write_trace(trace, file)

    assert list(parse_trace(file.getvalue().splitlines())) == trace


def test_a_room_is_of_a_tenant() -> None:
    assert traced("t/a/b", 0, 1).key == MeetingKey("t", "a/b")
    assert traced("a", 0, 1).key == MeetingKey(DEFAULT_TENANT, "a")


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("meeting", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "is not an object: give room, start, end and people"),
        ('{"room": "a", "start": 1, "people": []}', "lacks end"),
        ('{"room": 7, "start": 1, "end": 2, "people": []}', "has a room that is no text: give tenant/meetingID"),
        ('{"room": "", "start": 1, "end": 2, "people": []}', "has a room that is no text: give tenant/meetingID"),
        ('{"room": "a", "start": NaN, "end": 2, "people": []}', "has a start that is no number of seconds"),
        ('{"room": "a", "start": 1, "end": 1e999, "people": []}', "has a end that is no number of seconds"),
        ('{"room": "a", "start": true, "end": 2, "people": []}', "has a start that is no number of seconds"),
        ('{"room": "a", "start": "1", "end": 2, "people": []}', "has a start that is no number of seconds"),
        ('{"room": "a", "start": 1, "end": 1e12, "people": []}', "has a end that is no number of seconds"),
        ('{"room": "a", "start": 2, "end": 1, "people": []}', "ends before it begins"),
        ('{"room": "a", "start": 1, "end": 2, "people": 5}', "has people that are no list: give [[join, leave], ...]"),
        ('{"room": "a", "start": 1, "end": 2, "people": [5]}', "has somebody who is not [join, leave]"),
        ('{"room": "a", "start": 1, "end": 2, "people": [[1]]}', "has somebody who is not [join, leave]"),
        ('{"room": "a", "start": 1, "end": 2, "people": [[1, null]]}', "has a leave that is no number of seconds"),
        ('{"room": "a", "start": 1, "end": 2, "people": [[2, 1]]}', "has somebody who leaves before joining"),
        (
            '{"room": "a", "start": 10, "end": 20, "people": [[8, 12]]}',
            "has somebody who is there before it begins or after it ends",
        ),
        (
            '{"room": "a", "start": 10, "end": 20, "people": [[12, 22]]}',
            "has somebody who is there before it begins or after it ends",
        ),
        ('{"room": "a", "start": 4, "end": 6, "people": []}', "begins before the line above it: sort the lines by start"),
    ],
)
def test_a_bad_line_is_named_with_what_is_wrong(line: str, wrong: str) -> None:
    with pytest.raises(InvalidTrace) as refusal:
        list(parse_trace([GOOD, line]))

    assert str(refusal.value) == f"Line 2 of the trace {wrong}".replace("a end", "an end")


def test_times_that_were_rounded_are_forgiven() -> None:
    line = '{"room": "a", "start": 10.4, "end": 19.6, "people": [[10, 20]]}'

    assert list(parse_trace([line])) == [traced("a", 10.4, 19.6, (10.4, 19.6))]


def test_a_line_is_read_when_it_is_asked_for() -> None:
    assert next(parse_trace([GOOD, "not a meeting"])).room == "t/a"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\n", "holds no meeting: `meetingpool simulate generate` makes up a trace"),
        (b"\xff\xfe", "is no trace: it is not UTF-8"),
    ],
)
def test_a_file_without_meetings_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    (file := tmp_path / "trace").write_bytes(content)

    with pytest.raises(InvalidTrace, match=sentence):
        read_trace(file)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        read_trace(tmp_path)


def test_a_room_that_begins_while_it_runs_is_one_meeting() -> None:
    trace = [traced("t/a", 0, 100, (0, 100)), traced("t/b", 10, 20), traced("t/a", 50, 150, (60, 150)), traced("t/a", 150, 160)]

    runs, run_of_line = runs_of(trace)

    assert run_of_line == [0, 1, 0, 2]
    assert [(run.start, run.end, run.people) for run in runs] == [(0, 150, [(0, 100), (60, 150)]), (10, 20, []), (150, 160, [])]


def test_rooms_of_two_tenants_are_two_rooms() -> None:
    assert len(runs_of([traced("t/a", 0, 9), traced("u/a", 1, 9)])[0]) == 2
