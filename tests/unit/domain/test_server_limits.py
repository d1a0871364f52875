"""What servers can carry: whose limit counts, and what a choice makes of it."""

from random import Random
from typing import Any

import pytest

from meetingpool.domain.meetings import Meeting, MeetingKey, MeetingState
from meetingpool.domain.placement import NoServerAvailable, NoServerWithTag, PlacementRequest, TagRequest
from meetingpool.domain.pool import Pool
from meetingpool.domain.server_limits import Limits, checked_limits, require_soft_below_hard
from meetingpool.domain.servers import AdminState, Health, InvalidServer, Server, ServerId

FIFTEEN = PlacementRequest(users=15)


def server(name: str, load: float = 0.0, multiplier: float = 1.0, handicap: float = 0.0, tag: str = "", **limits: Any) -> Server:
    return Server(
        id=ServerId(name),
        url=f"https://{name}.example/",
        secret="secret",
        admin_state=AdminState.ENABLED,
        health=Health.ONLINE,
        load=load,
        load_multiplier=multiplier,
        handicap=handicap,
        tags=frozenset({tag} if tag else ()),
        **limits,
    )


def pool_of(*servers: Server, limits: Limits | None = None, meetings: str = "") -> Pool:
    """`meetings`: the name of the server that carries each of them."""
    pool = Pool(Random(1), limits or Limits())
    pool.replace_servers(servers)
    pool.replace_meetings((meeting(number, name), f"host-{number}") for number, name in enumerate(meetings))
    return pool


def meeting(number: int, server_id: str) -> Meeting:
    key = MeetingKey("default", f"meeting-{number}")
    return Meeting(key=key, server_id=ServerId(server_id), generation=number + 1, state=MeetingState.LIVE)


def chosen(pool: Pool, request: PlacementRequest = FIFTEEN) -> str:
    return pool.choose(request, avoid=()).server.id


def test_limits_of_the_settings_count_where_a_server_has_none_of_its_own() -> None:
    defaults = Limits(max_users=200, soft_users=150)

    assert defaults.fill_in(server("a", max_users=100)) == server("a", max_users=100, soft_users=150)
    assert Limits().fill_in(server("a", max_users=100)) == server("a", max_users=100)


def test_full_server_gets_nothing_by_whomever_it_is_limited() -> None:
    assert chosen(pool_of(server("a", 86, max_users=100), server("b", 90))) == "b"
    assert chosen(pool_of(server("a", 86), server("b", 190, max_users=300), limits=Limits(max_users=100))) == "b"
    assert chosen(pool_of(server("a", 0, max_meetings=2), server("b", 90), meetings="aa")) == "b"


def test_last_place_is_given_away() -> None:
    assert chosen(pool_of(server("a", 85, max_users=100), server("b", 90))) == "a"
    assert chosen(pool_of(server("a", 0, max_meetings=3), server("b", 90), meetings="aa")) == "a"


def test_people_are_counted_without_the_multiplier() -> None:
    assert chosen(pool_of(server("a", 170, multiplier=2, max_users=100), server("b", 200))) == "a"
    assert chosen(pool_of(server("a", 171, multiplier=2, max_users=100), server("b", 200))) == "b"


def test_server_beyond_its_soft_limit_gets_meetings_when_no_other_has_room() -> None:
    soft = server("a", 20, soft_users=30, max_users=100)

    assert chosen(pool_of(soft, server("b", 90))) == "b"
    assert chosen(pool_of(soft, server("b", 90, max_users=100))) == "a"
    assert chosen(pool_of(server("a", 0, soft_meetings=1), server("b", 90), meetings="a")) == "b"


def test_of_servers_beyond_their_soft_limits_the_least_loaded_is_chosen() -> None:
    assert chosen(pool_of(server("a", 40, soft_users=30), server("b", 35, soft_users=30))) == "b"


def test_soft_limit_is_given_up_before_the_tag_that_was_asked_for() -> None:
    pool = pool_of(server("gpu", 20, soft_users=30, tag="gpu"), server("plain"))

    assert chosen(pool, PlacementRequest(tags=TagRequest.parse("gpu"), users=15)) == "gpu"


def test_full_pool_refuses_as_one_without_servers() -> None:
    pool = pool_of(server("a", 90), server("b", max_meetings=1), limits=Limits(max_users=100), meetings="b")

    with pytest.raises(NoServerAvailable):
        chosen(pool)
    with pytest.raises(NoServerWithTag):
        chosen(pool, PlacementRequest(tags=TagRequest.parse("none!"), users=15))


def test_meetings_that_are_being_placed_fill_a_server_too() -> None:
    pool = pool_of(server("a", max_meetings=1), server("b", 90))
    pool.promise(ServerId("a"), 15, meetings=1)

    assert chosen(pool) == "b"
    pool.replace_meetings([])
    assert chosen(pool) == "b"
    pool.promise(ServerId("a"), -15, meetings=-1)
    assert chosen(pool) == "a"


def test_choice_says_up_to_which_load_the_server_may_have_the_meeting() -> None:
    choice = pool_of(server("a", 20, 2, soft_users=40, max_users=100), server("b", 90)).choose(FIFTEEN, avoid=())
    assert (choice.ceiling, choice.limit) == ((40 - 15) * 2, (100 - 15) * 2)

    beyond = pool_of(server("a", 60, 2, soft_users=40, max_users=100)).choose(FIFTEEN, avoid=())
    assert (beyond.ceiling, beyond.limit) == ((100 - 15) * 2, (100 - 15) * 2)


def test_server_that_starts_slowly_is_compared_by_its_handicap_and_limited_by_what_it_carries() -> None:
    starting = server("a", 10, handicap=85, max_users=100)

    assert chosen(pool_of(starting, server("b", 90))) == "b"
    alone = pool_of(starting, server("b", 90, max_users=100)).choose(FIFTEEN, avoid=())
    assert (alone.server.id, alone.limit) == ("a", 85)


def test_ceiling_of_a_server_that_starts_slowly_is_of_its_load() -> None:
    choice = pool_of(server("a", 10.1, handicap=0.3), server("b", 10.4)).choose(FIFTEEN, avoid=())

    assert choice.server.id == "a"
    assert choice.server.load <= choice.ceiling == pytest.approx(10.1)


@pytest.mark.parametrize("limit", [0, -1, 2**31])
def test_limit_that_no_server_can_have_is_refused(limit: int) -> None:
    with pytest.raises(InvalidServer, match="max_users must be a whole number from 1"):
        checked_limits({"max_users": limit})


def test_soft_limit_above_the_hard_one_is_refused() -> None:
    require_soft_below_hard({"soft_users": 5, "max_users": 5, "soft_meetings": 9, "max_meetings": None})
    with pytest.raises(InvalidServer, match="soft_users must not be above max_users: 6 is more than 5"):
        require_soft_below_hard({"soft_users": 6, "max_users": 5})
