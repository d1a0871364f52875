from simulator.server import SimulatedServer
from tests.unit.simulator.asking import ManualClock, ask, create, make_server


def test_meeting_that_nobody_joins_is_gone_after_five_minutes() -> None:
    clock = ManualClock()
    server = make_server(clock)
    create(server)

    clock.seconds = 299
    assert _exists(server)
    clock.seconds = 300
    assert not _exists(server)


def test_meeting_with_people_stays() -> None:
    clock = ManualClock()
    server = make_server(clock)
    server.create_meeting("room", people=1)

    clock.seconds = 100_000

    assert _exists(server)


def test_emptied_meeting_is_gone_after_one_minute() -> None:
    clock = ManualClock()
    server = make_server(clock)
    meeting = server.create_meeting("room")
    person = server.add_person(meeting, "Ada")
    clock.seconds = 1000
    server.leave(person.session_token)

    clock.seconds = 1059
    assert _exists(server)
    clock.seconds = 1060
    assert not _exists(server)


def test_somebody_who_comes_back_in_time_keeps_the_meeting() -> None:
    clock = ManualClock()
    server = make_server(clock)
    meeting = server.create_meeting("room")
    server.leave(server.add_person(meeting, "Ada").session_token)
    clock.seconds = 30
    server.add_person(meeting, "Bob")

    clock.seconds = 1000

    assert _exists(server)


def test_meeting_is_over_after_its_duration_whoever_is_in() -> None:
    clock = ManualClock()
    server = make_server(clock)
    create(server, duration="10")
    server.add_person(server.meetings["room"], "Ada")

    clock.seconds = 599
    assert _exists(server)
    clock.seconds = 600
    assert not _exists(server)


def test_create_sets_the_times_and_zero_means_never() -> None:
    clock = ManualClock()
    server = make_server(clock)
    create(server, "short", meetingExpireIfNoUserJoinedInMinutes="1")
    create(server, "endless", meetingExpireIfNoUserJoinedInMinutes="0")

    clock.seconds = 60
    assert not _exists(server, "short")
    clock.seconds = 100_000
    assert _exists(server, "endless")


def test_offset_of_the_clock_ends_no_meeting() -> None:
    server = make_server()
    create(server)

    server.clock_offset = 86_400

    assert _exists(server)


def _exists(server: SimulatedServer, meeting_id: str = "room") -> bool:
    return ask(server, "getMeetingInfo", meetingID=meeting_id).succeeded
