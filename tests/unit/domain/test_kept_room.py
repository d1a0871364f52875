"""Where room is kept for what is upcoming, and for whom: large meetings are laid out, smaller ones leave them their room."""

from dataclasses import replace

import pytest

from meetingpool.domain.kept_room import KeptRoom
from meetingpool.domain.meetings import Meeting, MeetingKey, MeetingState
from meetingpool.domain.outlook import Outlook
from meetingpool.domain.placement import PlacementRequest
from meetingpool.domain.pool import Pool
from meetingpool.domain.servers import AdminState, Health, Server, ServerId
from meetingpool.domain.timetable import Upcoming

A, B, C = map(ServerId, "abc")
LECTURE = MeetingKey("default", "lecture")


def server(server_id: ServerId, load: float = 0.0, **more: object) -> Server:
    return replace(
        Server(
            id=server_id, url="https://a.example/", secret="s", admin_state=AdminState.ENABLED, health=Health.ONLINE, load=load
        ),
        **more,  # type: ignore[arg-type]
    )


def due(key: MeetingKey = LECTURE, users: float = 100, chance: float = 1.0, last_on: str = "") -> Upcoming:
    return Upcoming(key=key, users=users, chance=chance, server_id=last_on)


def room(name: str) -> MeetingKey:
    return MeetingKey("default", name)


def pool_of(*servers: Server, upcoming: tuple[Upcoming, ...]) -> Pool:
    pool = Pool()
    pool.replace_servers(servers)
    pool.foresee(Outlook(upcoming=upcoming))
    return pool


def chosen(pool: Pool, users: float, key: MeetingKey | None = None) -> ServerId:
    return pool.choose(PlacementRequest(users=users, key=key), avoid=()).server.id


def meeting(key: MeetingKey, server_id: ServerId) -> Meeting:
    return Meeting(key=key, server_id=server_id, generation=1, state=MeetingState.RESERVING)


def kept_on(pool: Pool, server_id: ServerId, users: float = 0.0) -> float:
    return pool.kept.beside(users)(server_id)


def test_small_meetings_leave_room_and_the_lecture_gets_it() -> None:
    pool = pool_of(server(A), server(B), upcoming=(due(users=100),))
    (kept,) = [each for each in (A, B) if kept_on(pool, each)]
    for number in range(10):
        taken = chosen(pool, users=10)
        pool.put_meeting(meeting(room(f"small-{number}"), taken), f"small-{number}")
        pool.promise(taken, 10)
        assert taken != kept

    assert chosen(pool, users=100, key=LECTURE) == kept


def test_nobody_waits_for_room_when_even_the_lecture_would_carry_less_there() -> None:
    pool = pool_of(server(A), server(B, load=150.0), upcoming=(due(users=100),))

    assert kept_on(pool, A) == 100
    assert chosen(pool, users=10) == A


def test_larger_meetings_and_as_large_ones_do_not_leave_room() -> None:
    pool = pool_of(server(A, load=0), server(B, load=50), upcoming=(due(users=100),))

    assert [chosen(pool, users=users) for users in (99, 100, 300)] == [B, A, A]


@pytest.mark.parametrize("users", [1, 40, 100, 300])
def test_what_is_kept_for_a_meeting_is_never_in_its_own_way(users: float) -> None:
    """Its create may say that fewer get in than usually come."""
    pool = pool_of(server(A, load=0), server(B, load=50), upcoming=(due(users=100),))

    assert chosen(pool, users=users, key=LECTURE) == A


def test_what_began_leaves_nothing_behind() -> None:
    pool = pool_of(server(A), server(B), upcoming=(due(), due(room("another"), users=50)))
    pool.put_meeting(meeting(LECTURE, A), "lecture")
    pool.put_meeting(meeting(room("another"), B), "another")

    assert not pool.kept
    assert pool.kept.upcoming == {}
    assert [kept_on(pool, each) for each in (A, B)] == [0, 0]


def test_what_runs_already_is_not_waited_for() -> None:
    pool = pool_of(server(A), server(B), upcoming=())
    pool.put_meeting(meeting(LECTURE, A), "lecture")
    pool.foresee(Outlook(upcoming=(due(),)))

    assert not pool.kept


def test_what_is_less_likely_keeps_less_room() -> None:
    pool = pool_of(server(A, load_multiplier=2.0), upcoming=(due(users=100, chance=0.25),))

    assert kept_on(pool, A) == pytest.approx(50)


def test_several_are_spread_over_servers_as_they_will_be_placed() -> None:
    pool = pool_of(server(A, load=30), server(B), server(C), upcoming=(due(room("x")), due(room("y")), due(room("z"), users=60)))

    assert [kept_on(pool, each) for each in (A, B, C)] == [60, 100, 100]


def test_what_is_laid_out_moves_with_the_loads() -> None:
    pool = pool_of(server(A), server(B, load=10), upcoming=(due(),))
    assert kept_on(pool, A) == 100
    pool.set_load(A, 40)
    pool.plan()

    assert [kept_on(pool, each) for each in (A, B)] == [0, 100]


def test_room_is_kept_where_the_meeting_may_be() -> None:
    gpu = {"tags": frozenset({"gpu"})}
    pool = pool_of(server(A), server(B, load=80, **gpu), server(C, load=90, **gpu), upcoming=(due(last_on="c"),))

    assert [kept_on(pool, each) for each in (A, B, C)] == [0, 100, 0]


def test_room_is_kept_in_the_region_of_the_last_meeting() -> None:
    pool = pool_of(server(A, region="eu"), server(B, load=80, region="us"), upcoming=(due(last_on="b"),))

    assert [kept_on(pool, each) for each in (A, B)] == [0, 100]


def test_room_is_kept_on_servers_that_are_large_enough() -> None:
    pool = pool_of(
        server(A, max_users=50),
        server(B, load=20, max_users=300),
        server(C, load=30, max_users=300),
        upcoming=(due(last_on="c"),),
    )

    assert [kept_on(pool, each) for each in (A, B, C)] == [0, 100, 0]


def test_a_server_that_is_gone_is_taken_for_an_untagged_one() -> None:
    pool = pool_of(server(A, tags=frozenset({"gpu"})), server(B, load=50), upcoming=(due(last_on="removed"),))

    assert [kept_on(pool, each) for each in (A, B)] == [0, 100]


def test_a_pool_without_an_untagged_server_keeps_room_all_the_same() -> None:
    pool = pool_of(server(A, tags=frozenset({"gpu"})), upcoming=(due(),))

    assert kept_on(pool, A) == 100


def test_no_room_is_kept_on_a_server_that_takes_no_meetings() -> None:
    pool = pool_of(server(A), server(B, load=50), upcoming=(due(last_on="a"),))
    pool.set_status(A, load=0, health=Health.ONLINE, admin_state=AdminState.CORDONED)
    pool.plan()

    assert [kept_on(pool, each) for each in (A, B)] == [0, 100]


def test_a_pool_without_servers_keeps_no_room() -> None:
    pool = pool_of(upcoming=(due(),))

    assert not pool.kept
    assert set(pool.kept.upcoming) == {LECTURE}


def test_what_is_expected_no_more_leaves_its_room_with_the_next_plan() -> None:
    pool = pool_of(server(A), upcoming=(due(),))
    pool.foresee(Outlook())

    assert not pool.kept
    assert kept_on(pool, A) == 0


def test_new_kept_room_is_empty() -> None:
    kept = KeptRoom()
    kept.began(LECTURE)

    assert not kept
    assert kept.beside(0)(A) == 0
