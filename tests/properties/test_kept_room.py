"""With room kept, the chosen server is the one where least is carried and kept for larger meetings; no room is lost or made."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetingpool.domain.meetings import Meeting, MeetingKey, MeetingState
from meetingpool.domain.outlook import Outlook
from meetingpool.domain.placement import PlacementRequest, Standing, TagRequest, standing_of
from meetingpool.domain.pool import Pool
from meetingpool.domain.servers import AdminState, Health, Server, ServerId
from meetingpool.domain.timetable import Upcoming

loads = st.floats(0, 500) | st.sampled_from([0.0, 10.0, 100.0])
limits = st.none() | st.integers(1, 300)


@st.composite
def servers(draw: st.DrawFn) -> list[Server]:
    return [
        Server(
            id=ServerId(f"s{number}"),
            url="https://bbb.example/",
            secret="secret",
            admin_state=AdminState.ENABLED,
            health=Health.ONLINE,
            load=draw(loads),
            handicap=draw(st.sampled_from([0.0, 0.0, 30.0])),
            load_multiplier=draw(st.sampled_from([1.0, 1.0, 0.5, 3.0])),
            tags=draw(st.frozensets(st.sampled_from(["gpu"]), max_size=1)),
            region=draw(st.none() | st.sampled_from(["eu", "us"])),
            max_users=draw(limits),
            soft_users=draw(limits),
        )
        for number in range(draw(st.integers(1, 8)))
    ]


upcoming = st.lists(
    st.builds(
        Upcoming,
        key=st.builds(MeetingKey, st.just("default"), st.integers(0, 12).map(str)),
        users=st.floats(0.5, 500),
        chance=st.floats(0.01, 1),
        server_id=st.integers(0, 9).map("s{}".format),
    ),
    max_size=10,
    unique_by=lambda each: each.key,
).map(lambda found: tuple(sorted(found, key=lambda each: -each.users)))

requests = st.builds(
    PlacementRequest,
    key=st.none() | st.builds(MeetingKey, st.just("default"), st.integers(0, 12).map(str)),
    tags=st.sampled_from([TagRequest.parse(None), TagRequest.parse("gpu"), TagRequest.parse("gpu;none")]),
    users=st.floats(0, 500),
    at_least=st.just(0.0),
    regions=st.sampled_from([(), ("eu", "us"), ("us",)]),
)


def pool_of(all_servers: list[Server], due: tuple[Upcoming, ...], seed: int = 1) -> Pool:
    pool = Pool(Random(seed))
    pool.replace_servers(all_servers)
    pool.foresee(Outlook(upcoming=due))
    return pool


def compared(pool: Pool, server: Server, request: PlacementRequest) -> float:
    return pool.load_of(server) + pool.kept.beside(request.users, request.key)(server.id)


def rank(pool: Pool, server: Server, request: PlacementRequest) -> tuple[Standing, float] | None:
    standing = standing_of(server, server.load, 0, request)
    return (standing, compared(pool, server, request)) if isinstance(standing, Standing) else None


@given(all_servers=servers(), due=upcoming, request=requests, seed=st.integers(0, 9))
def test_the_chosen_meets_the_request_best_and_then_carries_least_with_what_is_kept(
    all_servers: list[Server], due: tuple[Upcoming, ...], request: PlacementRequest, seed: int
) -> None:
    pool = pool_of(all_servers, due, seed)
    ranks = {server.id: found for server in pool.servers.values() if (found := rank(pool, server, request))}
    if not ranks:
        return
    choice = pool.choose(request, avoid=())

    best_standing, least = min(ranks.values())
    assert ranks[choice.server.id][0] == best_standing
    assert ranks[choice.server.id][1] == pytest.approx(least, abs=1e-6)


@given(all_servers=servers(), due=upcoming, request=requests, part=st.floats(0, 1))
def test_up_to_the_ceiling_the_chosen_is_still_the_right_one(
    all_servers: list[Server], due: tuple[Upcoming, ...], request: PlacementRequest, part: float
) -> None:
    """Others may have put more on it meanwhile: the database compares only its load with the ceiling."""
    pool = pool_of(all_servers, due)
    if not any(rank(pool, server, request) for server in pool.servers.values()):
        return
    choice = pool.choose(request, avoid=())
    grown = min(choice.ceiling, 10_000.0)
    if grown < choice.server.load:
        return
    pool.set_load(choice.server.id, choice.server.load + part * (grown - choice.server.load))

    ranks = {server.id: found for server in pool.servers.values() if (found := rank(pool, server, request))}
    best_standing, least = min(ranks.values())
    assert ranks[choice.server.id][0] == best_standing
    assert ranks[choice.server.id][1] <= least + 1e-5


@given(all_servers=servers(), due=upcoming)
def test_what_is_kept_is_what_is_upcoming(all_servers: list[Server], due: tuple[Upcoming, ...]) -> None:
    plain = [replace(server, load_multiplier=2.0) for server in all_servers]
    pool = pool_of(plain, due)
    kept = sum(pool.kept.beside(0)(server.id) for server in plain)

    assert kept == pytest.approx(sum(2.0 * each.users * each.chance for each in due))


@given(all_servers=servers(), due=upcoming, begin=st.permutations(range(13)))
def test_what_began_leaves_nothing_behind(all_servers: list[Server], due: tuple[Upcoming, ...], begin: list[int]) -> None:
    pool = pool_of(all_servers, due)
    for number in begin:
        key = MeetingKey("default", str(number))
        pool.put_meeting(
            Meeting(key=key, server_id=all_servers[0].id, generation=1, state=MeetingState.RESERVING), key.meeting_id
        )

    assert not pool.kept
    assert pool.kept.upcoming == {}
    assert [pool.kept.beside(0)(server.id) for server in all_servers] == [0.0] * len(all_servers)


@given(all_servers=servers(), due=upcoming, users=st.floats(0, 500))
def test_larger_meetings_see_no_more_than_smaller_ones_of_what_is_kept(
    all_servers: list[Server], due: tuple[Upcoming, ...], users: float
) -> None:
    kept = pool_of(all_servers, due).kept

    for server in all_servers:
        assert 0 <= kept.beside(users)(server.id) <= kept.beside(users / 2)(server.id)
