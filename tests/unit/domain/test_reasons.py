"""Why a server was chosen: what is kept of it, and what an administrator reads."""

import json
from random import Random
from typing import Any

import pytest

from meetingpool.domain.meetings import Meeting, MeetingKey, MeetingState
from meetingpool.domain.placement import Obstacle, PlacementRequest, PoolSize, TagRequest
from meetingpool.domain.pool import Pool
from meetingpool.domain.reasons import Cause, Move, Reason, Source, reason_of
from meetingpool.domain.servers import AdminState, Health, Server, ServerId
from meetingpool.domain.timetable import Upcoming

FIFTEEN = PlacementRequest(users=15)


def server(name: str, load: float = 0.0, *tags: str, **more: Any) -> Server:
    state: dict[str, Any] = {"admin_state": AdminState.ENABLED, "health": Health.ONLINE, **more}
    return Server(
        id=ServerId(name), url=f"https://{name}.example/", secret="secret of it", load=load, tags=frozenset(tags), **state
    )


def pool_of(*servers: Server) -> Pool:
    pool = Pool(Random(1))
    pool.replace_servers(servers)
    return pool


def kept_of(pool: Pool, request: PlacementRequest = FIFTEEN, avoid: tuple[str, ...] = (), left: Move | None = None) -> Any:
    """The reason of a choice, as the database gives it back."""
    choice = pool.choose(request, avoid=[ServerId(name) for name in avoid])
    return json.loads(json.dumps(reason_of(choice, request, Source.ROOM, pool.size, left)))


def read_of(*servers: Server, request: PlacementRequest = FIFTEEN, avoid: tuple[str, ...] = ()) -> Reason:
    return Reason.read(kept_of(pool_of(*servers), request, avoid))


def remarks(*servers: Server, request: PlacementRequest = FIFTEEN, avoid: tuple[str, ...] = ()) -> dict[str, str]:
    """By server, in the order in which they compare."""
    choice = pool_of(*servers).choose(request, avoid=[ServerId(name) for name in avoid])
    reason = read_of(*servers, request=request, avoid=avoid)
    return {each.server_id: each.remark(reason.regions) for each in reason.compared(choice.server.id)}


def test_what_was_asked_for_is_read_as_it_was_written() -> None:
    tags = TagRequest.parse("exam;gpu!", frozenset({"gpu", "school"}))
    request = PlacementRequest(tags=tags, users=80.25, regions=("eu", "us"))
    gpu = server("a", 3, "gpu", region="eu"), server("b", 5, "gpu"), server("c", admin_state=AdminState.CORDONED)

    reason = Reason.read(kept_of(pool_of(*gpu), request, left=Move(ServerId("d"), Cause.DEAD)))

    assert (reason.users, reason.source) == (80.2, Source.ROOM)
    assert (reason.tags, reason.is_required, reason.within) == (("exam", "gpu"), True, ("gpu", "school"))
    assert reason.regions == ("eu", "us")
    assert reason.left == (ServerId("d"), Cause.DEAD)
    assert reason.size == PoolSize(open_servers=2, servers=3)


def test_what_was_not_asked_for_takes_no_room_and_is_read_as_nothing() -> None:
    kept = kept_of(pool_of(server("a")))

    assert set(kept) == {"users", "source", "size", "looked", "looked_at"}
    reason = Reason.read(kept)
    assert (reason.tags, reason.is_required, reason.within, reason.regions, reason.left) == ((), False, None, (), None)


def test_no_secret_and_no_address_of_a_server_is_kept() -> None:
    assert "secret" not in json.dumps(kept_of(pool_of(server("a"))))
    assert "https" not in json.dumps(kept_of(pool_of(server("a"))))


def test_figures_are_those_by_which_servers_were_compared() -> None:
    pool = pool_of(server("small", 20), server("starting", 1, handicap=30.5), server("kept-for", 10))
    pool.kept.expect([Upcoming(key=MeetingKey("default", "large"), users=100, chance=0.5)])
    pool.plan()
    pool.promise(ServerId("small"), 2)
    # What is upcoming was laid where there was least by then.
    reason = Reason.read(kept_of(pool))

    figures = {str(each.server_id): (each.load, each.kept, each.handicap, each.compared) for each in reason.looked_at}
    assert figures["small"] == (22, 0, 0, 22)
    assert figures["kept-for"] == (10, 50, 0, 60)
    assert figures["starting"] == (1, 0, 30.5, 31.5)
    assert [each.server_id for each in reason.compared(ServerId("small"))] == ["small", "starting", "kept-for"]


def test_servers_that_could_not_be_better_are_not_looked_at() -> None:
    reason = read_of(*(server(f"s{load:02}", load) for load in range(20)))

    assert [each.server_id for each in reason.looked_at] == ["s00", "s01"]
    assert (reason.looked, reason.size.open_servers) == (2, 20)


def test_the_chosen_one_is_kept_however_many_were_looked_at_before_it() -> None:
    request = PlacementRequest(tags=TagRequest.parse("gpu"), users=15)
    servers = [*(server(f"s{load:02}", load) for load in range(12)), server("gpu", 50, "gpu")]

    reason = read_of(*servers, request=request)

    assert [each.server_id for each in reason.looked_at] == [*(f"s{load:02}" for load in range(8)), "gpu"]
    assert reason.looked == 13
    assert reason.compared(ServerId("gpu"))[0].server_id == "gpu"


@pytest.mark.parametrize(
    ("other", "remark"),
    [
        (server("b", 0, "exam"), "may not have it: its tags do not fit"),
        (server("b", 6, max_users=20), "full with this meeting: its max_users is 20"),
        (server("b", 6, soft_users=20), "too full: beyond its soft limit, or without room for all"),
    ],
)
def test_a_server_that_carries_less_and_is_not_chosen_says_why(other: Server, remark: str) -> None:
    assert remarks(server("a", 50), other) == {"a": "", "b": remark}


def test_a_server_with_as_many_meetings_as_it_may_have_says_so() -> None:
    pool = pool_of(server("a", 50), server("b", max_meetings=1))
    held = Meeting(key=MeetingKey("default", "held"), server_id=ServerId("b"), generation=1, state=MeetingState.LIVE)
    pool.put_meeting(held, "held")

    full = Reason.read(kept_of(pool)).compared(ServerId("a"))[1]
    assert (full.server_id, full.standing, full.limit) == ("b", Obstacle.MEETINGS, 1)
    assert full.remark(()) == "full with this meeting: its max_meetings is 1"


def test_a_server_without_the_tag_is_worse_than_any_that_has_it() -> None:
    request = PlacementRequest(tags=TagRequest.parse("gpu"), users=15)
    assert remarks(server("plain"), server("gpu", 50, "gpu"), request=request) == {"gpu": "", "plain": "lacks the tag"}


def test_regions_are_called_by_their_names() -> None:
    request = PlacementRequest(users=15, regions=("eu", "us"))
    servers = server("far", 0, region="us"), server("near", 50, region="eu"), server("nowhere", 1)
    assert remarks(*servers, request=request) == {"near": "", "far": "in region us", "nowhere": "in none of the regions"}


def test_several_remarks_stand_side_by_side() -> None:
    request = PlacementRequest(users=15, regions=("eu", "us"), tags=TagRequest.parse("gpu"))
    assert remarks(server("a", 6, soft_users=20, region="us"), request=request) == {
        "a": "lacks the tag, too full: beyond its soft limit, or without room for all, in region us"
    }


def test_a_server_that_refused_is_shown_as_left_out_and_comes_last() -> None:
    found = remarks(server("refusing", 0), server("a", 50), server("b", 60, soft_users=20), avoid=("refusing",))
    assert list(found) == ["a", "b", "refusing"]
    assert found["refusing"] == "left out: it had just refused a create, or was found full"
