from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from meetingpool.domain.meetings import Meeting, MeetingKey, MeetingState
from meetingpool.domain.placement import NoServerAvailable, NoServerWithTag, PlacementRequest, TagRequest
from meetingpool.domain.pool import Pool
from meetingpool.domain.servers import AdminState, Health, Server, ServerId

ROOM = MeetingKey("default", "room")
HOST_ID = "room-on-the-server"
A, B, C = ServerId("a"), ServerId("b"), ServerId("c")


def server(name: ServerId, load: float = 0.0, *tags: str) -> Server:
    return Server(
        id=name,
        url=f"https://{name}.example/",
        secret="secret",
        admin_state=AdminState.ENABLED,
        health=Health.ONLINE,
        load=load,
        tags=frozenset(tags),
    )


def meeting(
    server_id: ServerId, generation: int = 1, key: MeetingKey = ROOM, users: int = 0, bridge: str | None = None
) -> Meeting:
    return Meeting(key=key, server_id=server_id, generation=generation, state=MeetingState.LIVE, users=users, voice_bridge=bridge)


def pool_of(*servers: Server) -> Pool:
    pool = Pool()
    pool.replace_servers(servers)
    return pool


def chosen(pool: Pool, tags: str | None = None, *avoid: ServerId) -> ServerId:
    return pool.choose(PlacementRequest(tags=TagRequest.parse(tags)), avoid=avoid).server.id


def test_promised_load_counts_at_once() -> None:
    pool = pool_of(server(A, 1), server(B, 5))

    assert chosen(pool) == A
    pool.promise(A, 15)
    assert chosen(pool) == B


def test_promise_can_be_taken_back() -> None:
    pool = pool_of(server(A, 1), server(B, 5))
    pool.promise(A, 15)
    pool.promise(A, 15)

    pool.promise(A, -30)

    assert pool.load_of(pool.servers[A]) == 1
    assert chosen(pool) == A


def test_promise_outlives_what_the_poller_writes() -> None:
    pool = pool_of(server(A, 1))
    pool.promise(A, 15)

    pool.set_load(A, 7)

    assert pool.load_of(pool.servers[A]) == 22


def test_promises_spread_a_burst_evenly() -> None:
    pool = pool_of(server(A), server(B), server(C))
    for _ in range(30):
        pool.promise(pool.choose(PlacementRequest(), avoid=()).server.id, 15)

    assert [pool.load_of(each) for each in pool.servers.values()] == [150, 150, 150]


def test_server_that_refused_is_avoided_while_there_is_another() -> None:
    pool = pool_of(server(A, 0), server(B, 100))

    pool.server_refused(A)

    assert chosen(pool) == B


def test_server_that_refused_is_taken_when_there_is_no_other() -> None:
    pool = pool_of(server(A, 0), server(B, 100))
    pool.server_refused(A)
    pool.server_refused(B)

    assert chosen(pool) == A
    assert chosen(pool, None, A) == B


def test_server_that_refused_is_taken_when_only_it_has_the_required_tag() -> None:
    pool = pool_of(server(A, 9, "gpu"), server(B))
    pool.server_refused(A)

    assert chosen(pool, "gpu!") == A


def test_server_that_the_caller_avoids_is_never_taken() -> None:
    pool = pool_of(server(A), server(B))
    pool.server_refused(B)

    with pytest.raises(NoServerAvailable):
        chosen(pool, None, A, B)
    with pytest.raises(NoServerWithTag):
        chosen(pool, "gpu!", A)


def test_poll_that_reached_a_server_ends_the_avoidance() -> None:
    pool = pool_of(server(A, 0), server(B, 100))
    pool.server_refused(A)

    pool.poll_reached(A)

    assert chosen(pool) == A


def test_server_that_is_added_again_starts_without_a_refusal() -> None:
    pool = pool_of(server(A, 0), server(B, 100))
    pool.server_refused(A)

    pool.replace_servers([server(B, 100)])
    pool.replace_servers([server(A, 0), server(B, 100)])

    assert chosen(pool) == A


def test_failed_poll_changes_health_and_keeps_the_load() -> None:
    pool = pool_of(server(A, 7))

    pool.set_status(A, load=None, health=Health.OFFLINE, admin_state=AdminState.CORDONED)

    known = pool.servers[A]
    assert (known.load, known.health, known.admin_state) == (7, Health.OFFLINE, AdminState.CORDONED)


def test_status_of_an_empty_server_is_a_load_of_zero() -> None:
    pool = pool_of(server(A, 7))

    pool.set_status(A, load=0.0, health=Health.ONLINE, admin_state=AdminState.ENABLED)

    assert pool.servers[A].load == 0


def test_news_of_an_unknown_server_are_ignored() -> None:
    pool = pool_of(server(A))

    pool.set_load(B, 5)
    pool.set_status(B, load=5, health=Health.ONLINE, admin_state=AdminState.ENABLED)
    pool.poll_reached(B)

    assert list(pool.servers) == [A]


def test_meeting_is_known_by_its_key_and_by_its_server() -> None:
    pool = pool_of(server(A))

    pool.put_meeting(meeting(A), HOST_ID)

    assert pool.meetings[ROOM] == meeting(A)
    assert pool.meeting_on(A, HOST_ID) == meeting(A)


def test_same_meeting_id_of_two_tenants_is_two_meetings() -> None:
    pool, other = Pool(), MeetingKey("other", "room")
    pool.put_meeting(meeting(A), "one")
    pool.put_meeting(meeting(A, key=other), "two")

    assert set(pool.meetings) == {ROOM, other}
    assert pool.meeting_on(A, "two") == meeting(A, key=other)


@pytest.mark.parametrize(("generation", "is_taken"), [(1, False), (2, True), (3, True)])
def test_old_news_do_not_replace_a_later_generation(generation: int, is_taken: bool) -> None:
    pool = Pool()
    pool.put_meeting(meeting(A, 2, users=1), HOST_ID)

    pool.put_meeting(meeting(B, generation), HOST_ID)

    assert pool.meetings[ROOM].server_id == (B if is_taken else A)


def test_copy_on_the_server_that_lost_the_meeting_is_not_the_meeting() -> None:
    pool = Pool()
    pool.put_meeting(meeting(A, 1), HOST_ID)

    pool.put_meeting(meeting(B, 2), HOST_ID)

    assert pool.meeting_on(A, HOST_ID) is None
    assert pool.meeting_on(B, HOST_ID) == meeting(B, 2)


def test_late_news_of_the_old_copy_do_not_bring_it_back() -> None:
    pool = Pool()
    pool.put_meeting(meeting(B, 2), HOST_ID)

    pool.put_meeting(meeting(A, 1), HOST_ID)

    assert pool.meeting_on(A, HOST_ID) is None


def test_meeting_of_a_stranger_is_nobodys() -> None:
    pool = Pool()
    pool.put_meeting(meeting(A), HOST_ID)

    assert pool.meeting_on(A, "room") is None
    assert pool.meeting_on(B, HOST_ID) is None


def test_a_reservation_that_is_told_of_late_does_not_replace_the_meeting() -> None:
    pool = pool_of(server(A))
    live = replace(meeting(A), internal_id="internal")
    pool.put_meeting(live, HOST_ID)
    pool.put_meeting(replace(live, state=MeetingState.RESERVING, internal_id=None), HOST_ID)
    assert pool.meetings[ROOM] == live


@pytest.mark.parametrize(("generation", "is_forgotten"), [(1, False), (2, True), (3, True)])
def test_end_of_an_earlier_generation_does_not_forget_the_meeting(generation: int, is_forgotten: bool) -> None:
    pool = Pool()
    pool.put_meeting(meeting(A, 2), HOST_ID)

    pool.forget_meeting(ROOM, generation, HOST_ID)

    assert (ROOM not in pool.meetings) == is_forgotten
    assert (pool.meeting_on(A, HOST_ID) is None) == is_forgotten


def test_forgetting_a_meeting_that_is_not_known_changes_nothing() -> None:
    pool = Pool()

    pool.forget_meeting(ROOM, 1, HOST_ID)

    assert pool.meetings == {}


def test_forgotten_meeting_can_be_created_again() -> None:
    pool = Pool()
    pool.put_meeting(meeting(A, 3), HOST_ID)
    pool.forget_meeting(ROOM, 3, HOST_ID)

    # An answer that was under way when the meeting was forgotten.
    pool.put_meeting(meeting(A, 3), HOST_ID)
    assert pool.meetings == {}

    pool.put_meeting(meeting(B, 4), HOST_ID)
    assert pool.meeting_on(B, HOST_ID) == meeting(B, 4)


def test_replacing_all_meetings_drops_what_is_not_among_them() -> None:
    pool, other = Pool(), MeetingKey("default", "other")
    pool.put_meeting(meeting(A, 5), HOST_ID)

    pool.replace_meetings([(meeting(B, 1, other), "other")])

    assert list(pool.meetings) == [other]
    assert pool.meeting_on(A, HOST_ID) is None
    assert pool.meeting_on(B, "other") == meeting(B, 1, other)


def test_meeting_is_known_by_its_voice_bridge() -> None:
    pool, other = Pool(), MeetingKey("other", "room")
    pool.put_meeting(meeting(A, bridge="123456789"), "one")
    pool.put_meeting(meeting(B, key=other, bridge="987654321"), "two")

    assert pool.meeting_with_bridge("123456789") == meeting(A, bridge="123456789")
    assert pool.meeting_with_bridge("987654321") == meeting(B, key=other, bridge="987654321")
    assert pool.meeting_with_bridge("12345678") is None


def test_meeting_without_a_voice_bridge_is_found_by_none() -> None:
    pool = Pool()
    pool.put_meeting(meeting(A), HOST_ID)
    pool.put_meeting(meeting(A, key=MeetingKey("default", "other"), bridge=""), "other")

    assert pool.meeting_with_bridge("") is None


def test_meeting_that_moves_keeps_its_voice_bridge() -> None:
    pool = Pool()
    pool.put_meeting(meeting(A, 1, bridge="123456789"), HOST_ID)

    pool.put_meeting(meeting(B, 2, bridge="123456789"), HOST_ID)

    assert pool.meeting_with_bridge("123456789") == meeting(B, 2, bridge="123456789")


def test_voice_bridge_that_a_meeting_gave_up_leads_nowhere() -> None:
    pool = Pool()
    pool.put_meeting(meeting(A, 1, bridge="123456789"), HOST_ID)

    pool.put_meeting(meeting(A, 2, bridge="987654321"), HOST_ID)

    assert pool.meeting_with_bridge("123456789") is None
    assert pool.meeting_with_bridge("987654321") == meeting(A, 2, bridge="987654321")


def test_voice_bridge_of_a_forgotten_meeting_leads_nowhere() -> None:
    pool = Pool()
    pool.put_meeting(meeting(A, bridge="123456789"), HOST_ID)
    pool.put_meeting(meeting(A, key=MeetingKey("default", "other"), bridge="987654321"), "other")

    pool.forget_meeting(ROOM, 1, HOST_ID)
    assert pool.meeting_with_bridge("123456789") is None

    pool.replace_meetings([])
    assert pool.meeting_with_bridge("987654321") is None


def test_meeting_that_is_created_again_is_not_found_by_the_voice_bridge_that_it_had() -> None:
    pool = Pool()
    pool.put_meeting(meeting(A, 1, bridge="123456789"), HOST_ID)
    pool.forget_meeting(ROOM, 1, HOST_ID)

    pool.put_meeting(meeting(A, 2, bridge="987654321"), HOST_ID)

    assert pool.meeting_with_bridge("123456789") is None


def test_voice_bridge_leads_to_the_meeting_that_it_was_given_to_last() -> None:
    pool, later = Pool(), MeetingKey("default", "later")
    pool.put_meeting(meeting(A, bridge="123456789"), HOST_ID)
    pool.put_meeting(meeting(B, key=later, bridge="123456789"), "later")

    pool.forget_meeting(ROOM, 1, HOST_ID)

    assert pool.meeting_with_bridge("123456789") == meeting(B, key=later, bridge="123456789")


def test_promises_that_were_taken_back_leave_nothing() -> None:
    pool = pool_of(server(A))
    for load in (0.7, 0.7, 0.7, -0.7, -0.7, -0.7):
        pool.promise(A, load)

    assert pool.load_of(pool.servers[A]) == 0


def test_meetings_that_weigh_nothing_are_drawn_evenly() -> None:
    """160 on 8 servers, in 20 draws: 20 on each are even, and 36 would hardly ever be the most."""
    most = []
    for seed in range(20):
        pool, taken = Pool(Random(seed)), Counter[ServerId]()
        pool.replace_servers(server(ServerId(f"s{number}")) for number in range(8))
        for _ in range(160):
            chosen_id = chosen(pool)
            taken[chosen_id] += 1
            pool.promise(chosen_id, 0.0)
            pool.set_load(chosen_id, 0.0)
        most.append(max(taken.values()))

    assert sum(most) / len(most) < 36
