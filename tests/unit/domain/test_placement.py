from dataclasses import replace
from random import Random

import pytest

from meetingpool.domain.placement import Choice, NoServerAvailable, NoServerWithTag, PlacementRequest, TagRequest, choose_server
from meetingpool.domain.ranking import Ranking
from meetingpool.domain.servers import AdminState, Health, Server, ServerId

ANY = PlacementRequest()


def server(
    name: str, load: float = 0.0, *tags: str, admin_state: AdminState = AdminState.ENABLED, health: Health = Health.ONLINE
) -> Server:
    return Server(
        id=ServerId(name),
        url=f"https://{name}.example/bigbluebutton/api/",
        secret="secret",
        admin_state=admin_state,
        health=health,
        load=load,
        tags=frozenset(tags),
    )


def choose(servers: list[Server], request: PlacementRequest = ANY, *, avoid: tuple[str, ...] = (), seed: int = 1) -> Choice:
    return choose_server(ranked(servers, seed), request, avoid=[ServerId(name) for name in avoid])


def ranked(servers: list[Server], seed: int = 1) -> Ranking:
    ranking = Ranking(Random(seed))
    for each in servers:
        ranking.put(each, each.load)
    return ranking


def chosen(servers: list[Server], tags: str | None = None, *, avoid: tuple[str, ...] = ()) -> str:
    return choose(servers, PlacementRequest(tags=TagRequest.parse(tags)), avoid=avoid).server.id


def test_least_loaded_server_is_chosen() -> None:
    assert chosen([server("a", 3), server("b", 1), server("c", 2)]) == "b"


def test_load_is_what_the_caller_says_it_is() -> None:
    ranking = ranked([server("a", 1), server("b", 2)])
    ranking.put(server("a", 1), 3)

    assert choose_server(ranking, ANY).server.id == "b"


@pytest.mark.parametrize("admin_state", [AdminState.CORDONED, AdminState.DISABLED])
def test_server_that_is_not_enabled_gets_nothing(admin_state: AdminState) -> None:
    assert chosen([server("a", 0, admin_state=admin_state), server("b", 100)]) == "b"


@pytest.mark.parametrize("health", [Health.OFFLINE, Health.DEAD])
def test_server_that_does_not_answer_gets_nothing(health: Health) -> None:
    assert chosen([server("a", 0, health=health), server("b", 100)]) == "b"


def test_suspect_server_still_gets_meetings() -> None:
    assert chosen([server("a", 0, health=Health.SUSPECT), server("b", 1)]) == "a"


def test_avoided_server_gets_nothing() -> None:
    assert chosen([server("a", 0), server("b", 100)], avoid=("a",)) == "b"


@pytest.mark.parametrize(
    "servers",
    [
        [],
        [server("a", admin_state=AdminState.DISABLED), server("b", health=Health.OFFLINE)],
        [server("a", 0, "gpu")],
    ],
)
def test_pool_without_a_suitable_server_says_so(servers: list[Server]) -> None:
    with pytest.raises(NoServerAvailable) as refused:
        choose(servers)

    assert not isinstance(refused.value, NoServerWithTag)


@pytest.mark.parametrize(
    ("text", "tags", "required"),
    [
        (None, set(), False),
        ("", set(), False),
        ("  ", set(), False),
        ("!", set(), False),
        (" ; !", set(), False),
        ("gpu", {"gpu"}, False),
        ("gpu!", {"gpu"}, True),
        (" gpu ! ", {"gpu"}, True),
        ("gpu;eu", {"gpu", "eu"}, False),
        ("gpu; eu ;;!", {"gpu", "eu"}, True),
        ("GPU", {"GPU"}, False),
        ("none", {"none"}, False),
        ("none!", {"none"}, True),
        ("a!b", {"a!b"}, False),
    ],
)
def test_tag_request_is_read_from_the_parameter(text: str | None, tags: set[str], required: bool) -> None:
    assert TagRequest.parse(text) == TagRequest(frozenset(tags), required)


POOL = [server("plain", 9), server("gpu", 5, "gpu"), server("eu", 3, "eu"), server("both", 7, "gpu", "eu")]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (None, "plain"),
        ("!", "plain"),
        ("gpu", "gpu"),
        ("gpu!", "gpu"),
        ("gpu;eu", "eu"),
        ("gpu;eu!", "eu"),
        ("none", "plain"),
        ("none!", "plain"),
        ("gpu;none", "gpu"),
        ("eu;none!", "eu"),
        ("asia", "plain"),
        ("GPU", "plain"),
        ("asia;none!", "plain"),
    ],
)
def test_tags_decide_who_may_have_a_meeting_and_load_who_gets_it(tags: str | None, expected: str) -> None:
    assert chosen(POOL, tags) == expected


@pytest.mark.parametrize("tags", ["asia!", "GPU!", "asia;africa!"])
def test_required_tag_that_nobody_has_is_told_apart(tags: str) -> None:
    with pytest.raises(NoServerWithTag):
        chosen(POOL, tags)


def test_required_tag_is_not_given_up_for_load_or_health() -> None:
    with pytest.raises(NoServerWithTag):
        chosen([server("plain"), server("gpu", 0, "gpu", health=Health.OFFLINE)], "gpu!")


def test_wanted_tag_falls_back_to_untagged_servers_only() -> None:
    servers = [server("plain", 50), server("gpu", 0, "gpu", health=Health.OFFLINE), server("eu", 0, "eu")]

    assert chosen(servers, "gpu") == "plain"
    with pytest.raises(NoServerAvailable):
        chosen(servers[1:], "gpu")


def test_untagged_servers_required_and_absent_are_told_as_a_missing_tag() -> None:
    with pytest.raises(NoServerWithTag):
        chosen(POOL[1:], "none!")


def test_ties_are_drawn_evenly() -> None:
    servers = [server("a"), server("b"), server("c"), server("d", 1)]

    picks = [choose(servers, seed=seed).server.id for seed in range(300)]

    assert {name: picks.count(ServerId(name)) > 70 for name in "abc"} == {"a": True, "b": True, "c": True}
    assert ServerId("d") not in picks


def test_same_draw_gives_the_same_server() -> None:
    servers = [server("a"), server("b"), server("c")]

    assert choose(servers, seed=5) == choose(servers, seed=5)


@pytest.mark.parametrize(
    ("loads", "ceiling"), [([1], float("inf")), ([1, 4, 9], 4), ([1, 1, 9], 1), ([0.0, 0.0], 0), ([5, 2], 5)]
)
def test_ceiling_is_the_load_of_the_next_best(loads: list[float], ceiling: float) -> None:
    assert choose([server(f"s{number}", load) for number, load in enumerate(loads)]).ceiling == ceiling


def test_ceiling_ignores_servers_that_may_not_have_the_meeting() -> None:
    servers = [server("a", 1), server("b", 5), server("tagged", 2, "gpu"), server("cordoned", 3, admin_state=AdminState.CORDONED)]

    assert choose(servers).ceiling == 5


LECTURE = PlacementRequest(users=350, at_least=15)


def limited(name: str, load: float, most: int = 300) -> Server:
    return replace(server(name, load), max_users=most)


def test_what_is_foreseen_turns_no_meeting_away() -> None:
    assert choose([limited("a", 100), limited("b", 40)], LECTURE).server.id == "b"


def test_server_with_room_for_all_who_are_foreseen_comes_first() -> None:
    assert choose([limited("a", 10), limited("large", 90, most=500)], LECTURE).server.id == "large"


def test_full_server_stays_full_for_what_is_foreseen() -> None:
    with pytest.raises(NoServerAvailable):
        choose([limited("a", 286)], LECTURE)


def test_meeting_without_room_for_all_holds_up_to_the_hard_limit() -> None:
    choice = choose([limited("a", 100)], LECTURE)

    assert (choice.ceiling, choice.limit) == (285, 285)
